//! `driver stack -- COMMAND` and `driver watch`: what others do with a local pipeline.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::{Running, RunningStack, driver, level, printed, run, told};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn a_command_beside_the_stack_finds_it_and_gives_its_exit_code() {
    let script =
        r#""$DRIVER" load "$API" -n 20 -c 2 --json; [ -d "/proc/$PID_REDIS" ] && echo "$REDIS $MQTT $QUEUE"; exit 7"#;
    let output = run(format!("stack -- sh -c '{script}'"));
    let printed = printed(&output);
    assert_eq!(output.status.code(), Some(7), "{printed} {}", told(&output));
    assert!(printed.contains("\"accepted\":20,") && printed.contains("\nredis://127.0.0.1:"), "{printed}");
    let missing = run("stack -- /no/such/program");
    assert!(told(&missing).contains("cannot run /no/such/program"));
}

#[test]
fn sigterm_is_handed_on_and_a_signal_tells_in_the_exit_code() {
    for (script, code) in
        [("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done", 9), ("echo ready; exec sleep 600", 128 + 15)]
    {
        let mut stack = Running::start(&mut driver(format!("stack -- sh -c \"{script}\"")));
        assert_eq!(stack.printed().next().as_deref(), Some("ready"));
        stack.signal(Signal::TERM);
        assert_eq!(stack.code(), Some(code), "{script}");
    }
    let killed = run("stack -- sh -c 'kill -KILL $$'");
    assert_eq!(killed.status.code(), Some(128 + 9));
}

#[test]
fn a_load_of_another_program_is_watched_and_reported() {
    let stack = RunningStack::start("--every 10");
    let out = tempfile::tempdir().unwrap();
    let watch = Running::start(&mut driver(format!(
        "watch --run monday --p99-limit 60s --redis {} --every 10 --quiet 1s --json --threshold lost==0 --out {}",
        stack.at.redis,
        out.path().display()
    )));
    // Any program will do, as long as its envelopes name the run.
    let load = run(format!("load {} -n 5000 -c 4 --run monday --json", stack.at.api));
    assert!(load.status.success(), "{}", told(&load));
    let output = watch.output();
    let (level, told) = (level(&output), told(&output));
    assert_eq!((&level["load"]["run"], &level["load"]["http"]), (&"monday".into(), &Value::Null));
    assert_eq!(
        (&level["books"]["accepted"], &level["books"]["arrived"], &level["books"]["lost"]),
        (&5000.into(), &5000.into(), &0.into())
    );
    assert_eq!(level["arrival"]["count"], 500);
    assert!(
        level["load"]["usage"].as_array().unwrap().iter().any(|usage| usage["component"] == "pushserver"),
        "{level}"
    );
    for said in [
        "waiting for messages of run monday",
        "The pipeline carried this load, which another program made: ",
        "report: ",
    ] {
        assert!(told.contains(said), "{told}");
    }
    assert!(out.path().join("latest/report.html").exists());
    stack.stop();
}
