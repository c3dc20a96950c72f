//! The queue's Redis dies, or hands over, and its replica leads under the same name: the pipeline comes back by itself, and what was promised to
//! arrive does.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::chaos;
use std::collections::BTreeMap;

/// Lets the replica take over twice under load, while messages wait in the queue, and gives the figures by name.
fn failovers(options: &str) -> BTreeMap<String, u64> {
    let fixed = "--parts redis --faults 2 --rate 200 --replica-lag 20ms --backlog 200ms";
    let (figures, output) = chaos(&format!("{fixed} {options}"));
    // 1 only says that something was lost: then there are figures.
    assert_eq!(figures.get("failovers"), Some(&2), "{options}: {output:?}");
    assert!(figures["accepted"] > 100, "{options}: {output:?}");
    figures
}

#[test]
fn nothing_that_a_replica_had_is_lost_from_a_list() {
    let figures = failovers("--failover crash --wait-replica --queue list");
    assert_eq!(figures["lost"], 0, "{figures:?}");
}

#[test]
fn nothing_that_a_replica_had_is_lost_from_a_stream() {
    let figures = failovers("--failover crash --wait-replica --queue stream");
    assert_eq!(figures["lost"], 0, "{figures:?}");
}

#[test]
fn nothing_is_lost_when_the_primary_hands_over() {
    let figures = failovers("--failover planned");
    assert_eq!(figures["lost"], 0, "{figures:?}");
}

/// What it loses is told, and it goes on.
#[test]
fn at_most_once_comes_back_too() {
    let figures = failovers("--failover crash --delivery at-most-once --drain-timeout 3s");
    assert_eq!(figures["arrived"] + figures["lost"], figures["accepted"], "{figures:?}");
}
