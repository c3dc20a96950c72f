//! What reports on real pipelines say where something is wrong on purpose.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::{RunningStack, kill, report, run, told};
use rustix::process::Signal;
use serde_json::Value;
use std::path::Path;

/// The report of a sweep with these options.
fn sweep(out: &Path, options: &str) -> Value {
    let output = run(format!("sweep --warmup 200ms --every 10 --out {} {options}", out.display()));
    assert!(output.status.success(), "{}", told(&output));
    report(out)
}

#[test]
fn a_forwarder_that_cannot_keep_up_is_named() {
    let out = tempfile::tempdir().unwrap();
    // One worker takes one message at a time, and the next when the broker has acknowledged it.
    let slow = "--workers 1 --batch 1 --handoff inline --qos 1";
    let report = sweep(out.path(), &format!("--levels 1,12 --duration 4s --pushserver-args '{slow}'"));
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
    let stack = RunningStack::start("--every 10");
    let mosquitto = stack.at.pids.mosquitto;
    let pausing = std::thread::spawn(move || {
        for (ms, signal) in [(2000, Signal::STOP), (1500, Signal::CONT)] {
            std::thread::park_timeout(std::time::Duration::from_millis(ms));
            kill(mosquitto, signal);
        }
    });
    let out = tempfile::tempdir().unwrap();
    // At a rate: in a closed loop nobody would send what then has to wait.
    let load = format!("--rates 500 --duration 5s --target {} --redis {}", stack.at.api, stack.at.redis);
    let report = sweep(out.path(), &load);
    pausing.join().unwrap();
    stack.stop();
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
