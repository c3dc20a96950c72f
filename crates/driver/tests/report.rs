//! What reports on real pipelines say where something is wrong on purpose.
#![allow(clippy::unwrap_used)]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use stack::Endpoints;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// The report of a sweep with these arguments.
fn sweep(out: &Path, args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_driver"))
        .args(["sweep", "--warmup", "200ms", "--every", "10", "--out", out.to_str().unwrap()])
        .args(args)
        .env("RUST_LOG", "warn")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&fs::read(out.join("latest/report.json")).unwrap()).unwrap()
}

#[test]
fn a_forwarder_that_cannot_keep_up_is_named() {
    let out = tempfile::tempdir().unwrap();
    // One worker takes one message at a time, and the next when the broker has acknowledged it.
    let slow = "--workers 1 --batch 1 --handoff inline --qos 1";
    let report = sweep(out.path(), &["--levels", "1,12", "--duration", "4s", "--pushserver-args", slow]);
    let findings = &report["findings"];
    assert_eq!(findings["weakest"]["hop"], "pushserver", "{findings}");
    assert_eq!(findings["weakest"]["overloaded"], true, "{findings}");
    let verdict: Vec<&str> =
        findings["verdict"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(verdict.iter().any(|line| line.starts_with("pushserver gives way first")), "{verdict:?}");
    let highest = report["levels"].as_array().unwrap().last().unwrap();
    assert!(highest["stability"]["unstable"].as_str().unwrap().contains("on the way to pushserver"), "{highest}");
    assert_eq!(highest["books"]["lost"], 0);
    // Every stage is on the way, whatever answers come beside it.
    for level in report["levels"].as_array().unwrap() {
        assert!(level["traces"]["of_known_error"].as_u64().unwrap() > 0, "{level}");
        assert_eq!(level["traces"]["beyond_error"], 0, "{level}");
        let answers: Vec<&Value> = level["answers"].as_array().unwrap().iter().map(|answer| &answer["stage"]).collect();
        assert_eq!(answers, ["enqueued", "acknowledged"]);
    }
}

#[test]
fn a_broker_that_pauses_shows_in_the_timeline() {
    let mut stack = Command::new(env!("CARGO_BIN_EXE_driver"))
        .args(["stack", "--json", "--every", "10"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .env("RUST_LOG", "warn")
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(stack.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let at: Endpoints = serde_json::from_str(&line).unwrap();
    let mosquitto = Pid::from_raw(at.pids.mosquitto.cast_signed()).unwrap();
    let pausing = std::thread::spawn(move || {
        for (ms, signal) in [(2000, Signal::STOP), (1500, Signal::CONT)] {
            std::thread::park_timeout(std::time::Duration::from_millis(ms));
            kill_process(mosquitto, signal).unwrap();
        }
    });
    let out = tempfile::tempdir().unwrap();
    // At a rate: in a closed loop nobody would send what then has to wait.
    let load = ["--rates", "500", "--duration", "5s", "--target", &at.api, "--redis", &at.redis];
    let report = sweep(out.path(), &load[..]);
    pausing.join().unwrap();
    kill_process(Pid::from_child(&stack), Signal::TERM).unwrap();
    stack.wait().unwrap();
    let level = &report["levels"][0];
    let slices = level["timeline"]["slices"].as_array().unwrap();
    let longest = slices.iter().filter_map(|slice| slice["max_us"].as_i64()).max().unwrap();
    let slow = |slice: &&Value| slice["max_us"].as_i64().is_some_and(|us| us > longest / 2);
    // What came while the broker stood still waited for it, and neither what came before nor what came after.
    assert!(longest >= 1_000_000, "{longest}");
    let stretch = slices.iter().filter(slow).count();
    assert!(stretch > 0 && stretch < slices.len() / 2, "{stretch} of {}: {slices:?}", slices.len());
    assert!(slices.iter().position(|slice| slow(&slice)).unwrap() > 0);
    assert_eq!((&level["books"]["lost"], &level["stability"]["unstable"]), (&0.into(), &Value::Null), "{level}");
}
