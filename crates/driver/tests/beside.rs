//! `driver stack -- COMMAND` and `driver watch`: what others do with a local pipeline.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use stack::Endpoints;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

fn driver(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driver"));
    command.args(args).env("RUST_LOG", "warn");
    command
}

fn line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_command_beside_the_stack_finds_it_and_gives_its_exit_code() {
    let script =
        r#""$DRIVER" load "$API" -n 20 -c 2 --json; [ -d "/proc/$PID_REDIS" ] && echo "$REDIS $MQTT $QUEUE"; exit 7"#;
    let output = driver(&["stack", "--", "sh", "-c", script]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(7), "{told} {}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("\"accepted\":20,") && told.contains("\nredis://127.0.0.1:"), "{told}");
    let missing = driver(&["stack", "--", "/no/such/program"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot run /no/such/program"));
}

#[test]
fn sigterm_is_handed_on_and_a_signal_tells_in_the_exit_code() {
    for (script, code) in
        [("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done", 9), ("echo ready; exec sleep 600", 128 + 15)]
    {
        let mut child = command(&["stack", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(line(&mut child), "ready\n");
        kill("-TERM", child.id());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{script}");
    }
    let killed = driver(&["stack", "--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(killed.status.code(), Some(128 + 9));
}

#[test]
fn a_load_of_another_program_is_watched_and_reported() {
    let mut stack = command(&["stack", "--json", "--every", "10"]).stdout(Stdio::piped()).spawn().unwrap();
    let at: Endpoints = serde_json::from_str(&line(&mut stack)).unwrap();
    let out = tempfile::tempdir().unwrap();
    let watch = command(&[
        "watch",
        "--run",
        "monday",
        "--p99-limit",
        "60s",
        "--redis",
        &at.redis,
        "--every",
        "10",
        "--quiet",
        "1s",
        "--json",
        "--threshold",
        "lost==0",
        "--out",
    ])
    .arg(out.path())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    // Any program will do, as long as its envelopes name the run.
    let load = driver(&["load", &at.api, "-n", "5000", "-c", "4", "--run", "monday", "--json"]);
    assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
    let output = watch.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let level: Value = serde_json::from_slice(&output.stdout).unwrap();
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
    kill("-TERM", stack.id());
    assert!(stack.wait().unwrap().success());
}
