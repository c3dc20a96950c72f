//! A handful of faults: whatever was answered 202 arrives.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::process::Command;

/// Runs the harness until each part has been harmed, and gives its figures by name.
fn chaos(queue: &str, seed: &str) -> BTreeMap<String, u64> {
    let output = Command::new(env!("CARGO_BIN_EXE_driver"))
        .args(["chaos", "--faults", "5", "--rate", "200", "--queue", queue, "--seed", seed])
        .output()
        .unwrap();
    let (told, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{log}");
    let figures = told.lines().filter_map(|line| line.split_once(' '));
    figures.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?))).collect()
}

#[test]
fn nothing_accepted_is_lost_whichever_part_is_killed() {
    for (queue, seed) in [("list", "3"), ("stream", "5")] {
        let figures = chaos(queue, seed);
        assert_eq!(figures["kills"] + figures["stops"], 5, "{queue}: {figures:?}");
        assert!(figures["kills"] >= 2, "{queue}: {figures:?}");
        assert!(figures["accepted"] > 100, "{queue}: {figures:?}");
        assert_eq!((figures["arrived"], figures["lost"]), (figures["accepted"], 0), "{queue}: {figures:?}");
    }
}
