//! What is interrupted keeps what it measured; and what cannot be written keeps nothing else away.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::{Running, driver, kill, report, told, until};
#[cfg(target_os = "linux")]
use driving::{marked, none_left};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;

/// A port that nobody has.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What a sweep tells Prometheus at this port, once it does.
fn page(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

/// Whether this level is under way and has had answers.
fn is_loading(port: u16, level: &str) -> bool {
    let page = page(port).unwrap_or_default();
    let line = |name: &str| page.lines().find(|line| line.starts_with(name));
    line("stampede_load_response_seconds_count").is_some_and(|line| !line.ends_with(" 0"))
        && line("stampede_sweep_level").is_some_and(|line| line.ends_with(level))
}

/// Starts a sweep of long levels, and sends the signal once this level has had answers.
fn interrupted(out: &Path, level: &str, options: &str, with: Signal) -> Output {
    let port = free_port();
    let fixed = format!("--warmup 0s --every 10 --prometheus-listen 127.0.0.1:{port} --out {}", out.display());
    let child = Running::start(&mut driver(format!("sweep {fixed} {options}")));
    until(|| is_loading(port, level).then_some(()), "the level never had answers");
    child.signal(with);
    child.output()
}

/// The processes that a process has started: their ids and command lines. Redis writes over its environment, so that it carries no mark.
#[cfg(target_os = "linux")]
fn children(of: u32) -> Vec<(u32, String)> {
    let text = |path: String| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
    let tasks = fs::read_dir(format!("/proc/{of}/task")).unwrap().flatten();
    let ids = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let ids: Vec<u32> =
        ids.flat_map(|ids| ids.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>()).collect();
    ids.into_iter().filter_map(|id| Some((id, text(format!("/proc/{id}/cmdline")).ok()?))).collect()
}

fn whole(out: &Path) {
    for file in fs::read_dir(out.join("latest")).unwrap().flatten() {
        assert!(file.metadata().unwrap().len() > 0, "{}", file.path().display());
        assert!(!file.file_name().to_string_lossy().contains("partial"), "{}", file.path().display());
    }
}

#[test]
fn a_first_level_that_is_interrupted_is_kept_and_judged() {
    let out = tempfile::tempdir().unwrap();
    let junit = out.path().join("j.xml");
    let options = format!("--levels 2,4 -d 60s --threshold lost==0 --junit {}", junit.display());
    let output = interrupted(out.path(), " 1", &options, Signal::INT);
    assert_eq!(output.status.code(), Some(130), "{}", told(&output));
    let report = report(out.path());
    let [level] = &report["levels"].as_array().unwrap()[..] else { panic!("{report}") };
    assert!(level["load"]["interrupted_us"].as_u64().unwrap() > 0, "{level}");
    assert!(level["arrival"]["count"].as_u64().unwrap() > 0, "{level}");
    // It was drained.
    assert_eq!(level["books"]["accepted"], level["books"]["arrived"], "{level}");
    assert_eq!(report["thresholds"][0]["held"], true, "{report}");
    whole(out.path());
    let xml = fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"1\" failures=\"0\"") && xml.trim_end().ends_with("</testsuites>"), "{xml}");
    for file in ["report.tsv", "summary.md", "report.html"] {
        let text = fs::read_to_string(out.path().join("latest").join(file)).unwrap();
        assert!(text.contains("interrupted after "), "{file}");
    }
    let rows = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(rows.contains("interrupted after "), "{rows}");
}

#[test]
fn a_later_level_that_is_interrupted_is_kept_beside_the_others() {
    let out = tempfile::tempdir().unwrap();
    let options = "--rates 100,200 -d 4s --threshold lost==0@r=100 --threshold lost==0@c=9";
    // By SIGTERM it is the same.
    let output = interrupted(out.path(), " 2", options, Signal::TERM);
    assert_eq!(output.status.code(), Some(130), "{}", told(&output));
    let report = report(out.path());
    let interrupted: Vec<bool> =
        report["levels"].as_array().unwrap().iter().map(|level| !level["load"]["interrupted_us"].is_null()).collect();
    assert_eq!(interrupted, [false, true], "{report}");
    let held: Vec<&Value> = report["thresholds"].as_array().unwrap().iter().map(|verdict| &verdict["held"]).collect();
    assert_eq!(held, [true, false]);
    whole(out.path());
}

#[test]
fn an_interrupted_sweep_waits_for_no_request_that_is_due_in_an_hour() {
    for load in ["--rates 0.001", "--to 1 --think-time 50m..1h"] {
        let out = tempfile::tempdir().unwrap();
        let port = free_port();
        let fixed = format!("--prometheus-listen 127.0.0.1:{port} --out {}", out.path().display());
        let child = Running::start(&mut driver(format!("sweep -d 2h --warmup 0s {fixed} {load}")));
        until(|| page(port).filter(|page| page.contains("stampede_sweep_level{")), "no level began");
        child.signal(Signal::INT);
        let output = child.output();
        assert_eq!(output.status.code(), Some(130), "{}", told(&output));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_second_signal_ends_at_once_and_leaves_no_process() {
    let out = tempfile::tempdir().unwrap();
    let mark = format!("{}", std::process::id());
    let port = free_port();
    let fixed = format!("--prometheus-listen 127.0.0.1:{port} --out {}", out.path().display());
    let mut command = driver(format!("sweep -d 1h --timeout 1h --to 1 --warmup 0s {fixed}"));
    let mut child = Running::start(command.env("STAMPEDE_TEST_MARK", &mark));
    until(|| is_loading(port, " 1").then_some(()), "the level never had answers");
    // The answers stay away, so that the first signal has something to wait for.
    let api = until(|| marked(&mark).into_iter().find(|(_, line)| line.contains("role apiserver")), "no apiserver");
    kill(api.0, Signal::STOP);
    let mut log = child.told();
    child.signal(Signal::INT);
    assert!(log.any(|line| line.contains("a second Ctrl-C ends at once")));
    assert!(child.child().try_wait().unwrap().is_none());
    child.signal(Signal::INT);
    assert_eq!(child.code(), Some(130));
    none_left(&mark);
}

#[cfg(target_os = "linux")]
#[test]
fn a_part_that_dies_is_named_and_no_drain_waits_for_what_cannot_come() {
    for (part, role) in [("redis-server", "redis-server"), ("pushserver", "role pushserver")] {
        let out = tempfile::tempdir().unwrap();
        let mark = format!("{}-{part}", std::process::id());
        let port = free_port();
        let fixed = format!("--prometheus-listen 127.0.0.1:{port} --out {}", out.path().display());
        let patient = "--drain-timeout 1h --drain-limit 1h";
        let mut command = driver(format!("sweep -d 1h --to 1 --every 10 --warmup 0s {patient} {fixed}"));
        let mut child = Running::start(command.env("STAMPEDE_TEST_MARK", &mark));
        until(|| is_loading(port, " 1").then_some(()), "the level never had answers");
        let parts = children(child.child().id());
        kill(parts.iter().find(|(_, line)| line.contains(role)).unwrap().0, Signal::KILL);
        let output = child.output();
        assert_eq!(output.status.code(), Some(1));
        let why = format!("{part} ended unexpectedly (signal: 9");
        assert!(told(&output).contains(&format!("error: {why}")), "{}", told(&output));
        // Without Redis nobody knows what has become of the messages.
        if part == "pushserver" {
            let report = report(out.path());
            assert!(report["levels"][0]["load"]["broken"].as_str().unwrap().starts_with(&why), "{report}");
            assert!(report["levels"][0]["books"]["accepted"].as_u64() > Some(0), "{report}");
        }
        none_left(&mark);
    }
}

#[test]
fn chaos_that_is_interrupted_tells_what_has_become_of_the_messages() {
    let mut child = Running::start(&mut driver("chaos -d 1h --rate 200 --parts apiserver"));
    let mut log = child.told();
    // One fault has been recovered from.
    assert!(log.any(|line| line.contains("arrivals again")));
    child.signal(Signal::INT);
    assert!(log.any(|line| line.contains("interrupted after ")));
    let table: Vec<String> = child.printed().collect();
    let table = table.join("\n");
    assert_eq!(child.code(), Some(130));
    let figure = |name: &str| -> u64 {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{table}"));
        line.split_whitespace().last().unwrap().parse().unwrap()
    };
    assert!(figure("accepted") > 0 && figure("lost") == 0, "{table}");
    assert_eq!(figure("accepted"), figure("arrived"), "{table}");
}

#[test]
fn a_latest_that_cannot_be_set_loses_no_level() {
    let out = tempfile::tempdir().unwrap();
    fs::create_dir_all(out.path().join("latest/x")).unwrap();
    let sweep = format!("sweep --from 1 --to 2 -d 300ms --warmup 0s --out {}", out.path().display());
    let mut child = Running::start(&mut driver(sweep));
    // Nor does a reader that goes away, such as head.
    drop(child.child().stdout.take());
    let output = child.output();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(told(&output).matches("latest does not point to this report").count(), 1, "{}", told(&output));
    let is_report = |entry: &fs::DirEntry| entry.file_name() != "latest" && entry.path().is_dir();
    let folders: Vec<_> = fs::read_dir(out.path()).unwrap().flatten().filter(is_report).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    let tsv = fs::read_to_string(folders[0].path().join("report.tsv")).unwrap();
    assert_eq!(tsv.lines().count(), 3, "{tsv}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_that_dies_in_a_later_level_keeps_the_finished_ones() {
    let out = tempfile::tempdir().unwrap();
    let mark = format!("{}-dies", std::process::id());
    let junit = out.path().join("j.xml");
    let files = format!("--junit {} --out {}", junit.display(), out.path().display());
    let sweep =
        format!("sweep --levels 1,2 -d 2s --warmup 0s --timeout 1s --drain-timeout 1s --threshold lost==0 {files}");
    let mut child = Running::start(driver(sweep).env("STAMPEDE_TEST_MARK", &mark));
    let mut rows = child.printed();
    assert!(rows.any(|row| row.trim_start().starts_with("1 ")));
    let push = until(|| marked(&mark).into_iter().find(|(_, line)| line.contains("role pushserver")), "no pushserver");
    kill(push.0, Signal::KILL);
    let output = child.output();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("pushserver"), "{}", told(&output));
    let report = report(out.path());
    // Of the one under way there is what there was by then.
    let levels = report["levels"].as_array().unwrap();
    let broken: Vec<bool> = levels.iter().map(|level| level["load"]["broken"].is_string()).collect();
    assert_eq!(broken, [false, true][..levels.len()], "{report}");
    assert!(fs::read_to_string(&junit).unwrap().trim_end().ends_with("</testsuites>"));
    whole(out.path());
}

#[test]
fn a_report_that_is_interrupted_leaves_what_is_there() {
    let out = tempfile::tempdir().unwrap();
    let junit = out.path().join("j.xml");
    fs::write(&junit, "older").unwrap();
    for with in [Signal::INT, Signal::TERM] {
        // A log store that never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let redis = format!("redis://{}", silent.local_addr().unwrap());
        let files = format!("--junit {} --out {}", junit.display(), out.path().display());
        let child = Running::start(&mut driver(format!("report --redis {redis} --threshold lost==0 {files}")));
        let _connection = silent.accept().unwrap();
        child.signal(with);
        let output = child.output();
        assert_eq!(output.status.code(), Some(130), "{}", told(&output));
        assert_eq!(fs::read_to_string(&junit).unwrap(), "older");
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
    }
}
