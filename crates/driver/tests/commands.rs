//! The executable as a user runs it: real servers, real processes.
#![allow(clippy::unwrap_used)]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use stack::Endpoints;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

fn driver(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driver"));
    command.args(args).env("RUST_LOG", "warn");
    command
}

fn run(args: &[&str]) -> Output {
    driver(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Polls until there is something, for 20 s.
fn until<T>(mut poll: impl FnMut() -> Option<T>, otherwise: impl Fn() -> String) -> T {
    for _ in 0..2000 {
        if let Some(found) = poll() {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("{}", otherwise());
}

/// Processes that carry a mark in their environment, however they were started.
#[cfg(target_os = "linux")]
fn marked(mark: &str) -> Vec<String> {
    let mark = format!("STAMPEDE_TEST_MARK={mark}");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| fs::read(process.path().join("environ")).is_ok_and(|env| text(&env).contains(&mark)))
        .map(|process| text(&fs::read(process.path().join("cmdline")).unwrap_or_default()).replace('\0', " "))
        .filter(|command| !command.is_empty())
        .collect()
}

#[cfg(target_os = "linux")]
fn none_left(mark: &str) {
    until(|| marked(mark).is_empty().then_some(()), || format!("still there: {:#?}", marked(mark)));
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
}

/// The lines of a child's stdout, as they come.
fn lines(child: &mut Child) -> mpsc::Receiver<String> {
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

fn next(lines: &mpsc::Receiver<String>) -> String {
    lines.recv_timeout(Duration::from_secs(30)).unwrap()
}

/// A local stack in the foreground of another process.
struct RunningStack {
    child: Child,
    at: Endpoints,
}

impl RunningStack {
    fn start(args: &[&str]) -> Self {
        let mut child = driver(&[&["stack", "--json"], args].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let line = next(&lines(&mut child));
        Self { child, at: serde_json::from_str(&line).unwrap() }
    }

    fn redis(&self) -> redis::Connection {
        redis::Client::open(self.at.redis.as_str()).unwrap().get_connection().unwrap()
    }

    fn post(&self, body: &str) -> String {
        let mut stream = TcpStream::connect(self.at.api.trim_start_matches("http://")).unwrap();
        write!(
            stream,
            "POST /adapter2/poweron/44300 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn list(&self, key: &str, length: usize) -> Vec<String> {
        let mut redis = self.redis();
        let mut list = || -> Vec<String> { redis::cmd("LRANGE").arg(key).arg(0).arg(-1).query(&mut redis).unwrap() };
        until(|| Some(list()).filter(|list| list.len() >= length), || format!("{key} never had {length} entries"))
    }

    fn stop(mut self) {
        signal(&self.child, Signal::INT);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for RunningStack {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rows(folder: &Path) -> Vec<HashMap<String, String>> {
    let tsv = fs::read_to_string(folder.join("report.tsv")).unwrap();
    let mut lines = tsv.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    assert_eq!(header[..4], ["concurrency", "http_mean_ms", "rps", "arrival_mean_s"]);
    lines.map(|row| header.iter().cloned().zip(row).collect()).collect()
}

#[test]
fn the_founding_test() {
    let stack = RunningStack::start(&[]);
    assert!(stack.post(r#"{"data":"news","id":12000}"#).starts_with("HTTP/1.1 202 "));
    assert!(stack.post(r#"{"data":"news","id":12001}"#).starts_with("HTTP/1.1 202 "));
    for stage in ["apiserver", "enqueue", "pushserver", "publish", "mqttclient"] {
        let entries = stack.list(&format!("trace:adhoc:{stage}"), 1);
        assert_eq!(entries.len(), 1, "{stage}");
        let entry: Value = serde_json::from_str(&entries[0]).unwrap();
        assert_eq!(entry["id"], 12000, "{stage}");
        assert!(
            entry["time"].as_str().unwrap().split_once('.').is_some_and(|(_, micros)| micros.len() == 6),
            "{entry}"
        );
    }
    stack.stop();
}

#[test]
fn a_sweep_reports_every_level_and_loses_nothing() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let args = "sweep --from 1 --to 5 --step 2 --duration 500ms --warmup 100ms --out";
    let output = run(&args.split(' ').chain([folder]).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 4, "a heading and three levels: {}", text(&output.stdout));
    let latest = out.path().join("latest");
    let rows = rows(&latest);
    assert_eq!(rows.iter().map(|row| row["concurrency"].as_str()).collect::<Vec<_>>(), ["1", "3", "5"]);
    for row in &rows {
        assert_eq!(
            (row["lost"].as_str(), row["http_errors"].as_str(), row["duplicates"].as_str()),
            ("0", "0", "0"),
            "{row:?}"
        );
        assert_eq!(row["accepted"], row["arrived"]);
        assert!(row["sampled"].parse::<u64>().unwrap() > 0, "{row:?}");
    }
    let report: Value = serde_json::from_slice(&fs::read(latest.join("report.json")).unwrap()).unwrap();
    for level in report["levels"].as_array().unwrap() {
        // Every connection deals its own sequence from 0, so 1 in 100 of each is sampled.
        let (sampled, complete) =
            (level["traces"]["sampled"].as_u64().unwrap(), level["traces"]["complete"].as_u64().unwrap());
        assert_eq!(sampled, complete, "every sampled message has all its stamps");
        for stage in level["books"]["passed"].as_array().unwrap() {
            assert_eq!(stage[1], level["books"]["accepted"], "{stage}");
        }
    }
    for picture in ["arrival.png", "hops.png"] {
        assert!(fs::read(latest.join(picture)).unwrap().starts_with(b"\x89PNG"), "{picture}");
    }
    let page = fs::read_to_string(latest.join("report.html")).unwrap();
    assert!(page.contains(report["findings"]["verdict"][0].as_str().unwrap()) && page.ends_with("</html>\n"));
}

#[test]
fn a_sweep_of_a_pipeline_that_is_already_there_can_be_reported_again() {
    let stack = RunningStack::start(&[]);
    let (first, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let paths = [first.path().to_str().unwrap(), again.path().to_str().unwrap()];
    let output = run(&[
        "sweep",
        "--target",
        &stack.at.api,
        "--redis",
        &stack.at.redis,
        "--to",
        "2",
        "--duration",
        "300ms",
        "--warmup",
        "0s",
        "--json",
        "--out",
        paths[0],
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let levels: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(levels.len(), 2);
    let report = run(&["report", "latest", "--redis", &stack.at.redis, "--out", paths[1]]);
    assert!(report.status.success(), "{}", text(&report.stderr));
    let read = |folder: &Path| fs::read_to_string(folder.join("latest/report.tsv")).unwrap();
    assert_eq!(read(first.path()), read(again.path()));
    let held = ["report", "latest", "--redis", &stack.at.redis, "--out", paths[1], "--threshold", "lost==0"];
    assert_eq!(run(&held).status.code(), Some(0));
    assert_eq!(run(&[&held[..], &["--threshold", "rps>1000M"]].concat()).status.code(), Some(99));
    stack.stop();
}

#[test]
fn a_sweep_refuses_a_pipeline_that_lacks_a_stage_or_samples_differently() {
    let stack = RunningStack::start(&[]);
    let out = tempfile::tempdir().unwrap();
    let sweep = |more: &[&str]| {
        let own = [
            "sweep",
            "--target",
            &stack.at.api,
            "--redis",
            &stack.at.redis,
            "--to",
            "1",
            "--duration",
            "200ms",
            "--warmup",
            "0s",
        ];
        run(&[own.as_slice(), &["--drain-timeout", "300ms", "--out", out.path().to_str().unwrap()], more].concat())
    };
    for (more, told) in [
        (
            ["--path", "send,apiserver,enqueue,enricher,pushserver,publish,mqttclient"],
            "no service has registered for enricher:",
        ),
        (["--every", "50"], "this sweep samples 1 in 50, but apiserver ("),
    ] {
        let output = sweep(&more);
        assert_eq!(output.status.code(), Some(1), "{more:?}");
        assert!(text(&output.stderr).contains(told), "{more:?}: {}", text(&output.stderr));
    }
    assert!(sweep(&["--every", "50", "--skip-service-check"]).status.success());
    let services = run(&["services", "--redis", &stack.at.redis]);
    let listed: Vec<String> =
        text(&services.stdout).lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(listed, ["SERVICE", "apiserver", "mqttclient", "pushserver"]);
    stack.stop();
}

#[test]
fn the_path_may_be_shorter_and_may_come_from_a_file() {
    let stack = RunningStack::start(&[]);
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("path");
    fs::write(&file, "# from end to end\nsend\napiserver\nmqttclient\n").unwrap();
    let output = run(&[
        "sweep",
        "--target",
        &stack.at.api,
        "--redis",
        &stack.at.redis,
        "--to",
        "1",
        "--duration",
        "300ms",
        "--warmup",
        "0s",
        "--json",
        "--path",
        file.to_str().unwrap(),
        "--out",
        out.path().to_str().unwrap(),
    ]);
    let level: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let hops: Vec<_> = level["hops"].as_array().unwrap().iter().map(|hop| hop["stage"].as_str().unwrap()).collect();
    assert_eq!(hops, ["apiserver", "mqttclient"]);
    // With one hop behind the API server, that hop is the arrival.
    assert_eq!(level["hops"][1]["latency"], level["arrival"]);
    stack.stop();
}

#[test]
fn a_sweep_over_rates_repeats_its_levels_and_says_where_the_generator_gave_way() {
    let out = tempfile::tempdir().unwrap();
    let output = run(&[
        "sweep",
        "--rates",
        "200,400",
        "--repeat",
        "2",
        "--duration",
        "500ms",
        "--warmup",
        "100ms",
        "--every",
        "1",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows = rows(&out.path().join("latest"));
    let levels: Vec<_> = rows.iter().map(|row| (row["rate"].as_str(), row["repeat"].as_str())).collect();
    assert_eq!(levels, [("200.0", "1"), ("200.0", "2"), ("400.0", "1"), ("400.0", "2")]);
    for (row, due) in rows.iter().zip([100, 100, 200, 200]) {
        // On a machine that is busy with other things, the last ones come too late to be sent.
        assert!((1..=due).contains(&row["accepted"].parse::<u32>().unwrap()), "{row:?}");
    }
    assert!(rows.iter().all(|row| row["lost"] == "0" && row["arrived"] == row["accepted"]), "{rows:?}");
    assert!(text(&output.stdout).contains("spread of"), "{}", text(&output.stdout));
    // More than one connection can do, whatever the machine: every request takes some time.
    let output = run(&[
        "sweep",
        "--rate-from",
        "900000",
        "--rate-to",
        "900000",
        "--rate-step",
        "1",
        "--rate-connections",
        "1",
        "--max-connections",
        "1",
        "--duration",
        "300ms",
        "--warmup",
        "0s",
        "--json",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    let level: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    assert!(level["load"]["generator_limited"].as_str().unwrap().contains("never sent"), "{level}");
    assert_eq!(level["books"]["lost"], 0);
}

#[test]
fn wrk_may_make_the_load() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let sweep = [
        "sweep",
        "--generator",
        "wrk",
        "--from",
        "2",
        "--to",
        "2",
        "--duration",
        "1s",
        "--warmup",
        "0s",
        "--json",
        "--out",
        folder,
    ];
    let without = driver(&sweep).env("PATH", "/nowhere").output().unwrap();
    assert!(text(&without.stderr).contains("needs wrk on PATH"), "{}", text(&without.stderr));
    if Command::new("wrk").arg("-v").stdout(Stdio::null()).status().is_err() {
        // Only CI insists on wrk: scripts/setup installs it there.
        return;
    }
    let output = run(&sweep);
    let level: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    assert!(level["books"]["accepted"].as_u64().unwrap() > 0, "{level}");
    assert_eq!(level["books"]["lost"], 0, "{level}");
    assert_eq!(level["hops"][0]["stage"], "enqueue", "wrk stamps nothing, so the path begins with the API server");
}

#[test]
fn the_clock_command_tells_offset_drift_and_errors() {
    let stack = RunningStack::start(&[]);
    let output = run(&["clock", "--redis", &stack.at.redis, "--duration", "300ms", "--against-host-clock", "--json"]);
    let clock: Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["rtt_us", "error_bound_us", "disciplined_abs_error_us", "plain_abs_error_us"] {
        let [p50, p99, max] = ["p50", "p99", "max"].map(|at| clock[key][at].as_u64().unwrap());
        assert!(p50 <= p99 && p99 <= max, "{key}: {clock}");
    }
    assert!(clock["offset_us"].is_i64() && clock["drift_ppm"].is_f64(), "{clock}");
    // Both clocks are this machine's: what is stated as a bound must hold.
    assert!(
        clock["disciplined_abs_error_us"]["max"].as_u64() <= clock["error_bound_us"]["max"].as_u64().map(|us| us + 2),
        "{clock}"
    );
    stack.stop();
}

#[test]
fn ids_are_unique_over_connections_and_each_connection_is_sampled() {
    let stack = RunningStack::start(&["--every", "1"]);
    let output = run(&["load", &stack.at.api, "--connections", "7", "--duration", "500ms", "--run", "ids", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let accepted = usize::try_from(result["accepted"].as_u64().unwrap()).unwrap();
    assert_eq!(result["errors"], serde_json::json!({}));
    let ids: Vec<u64> = stack
        .list("trace:ids:mqttclient", accepted)
        .iter()
        .map(|entry| serde_json::from_str::<Value>(entry).unwrap()["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), accepted);
    let connections: HashSet<u64> = ids.iter().map(|id| id >> 32).collect();
    assert_eq!(connections, (0..7).collect());
    for connection in 0..7 {
        let share: Vec<u64> = ids.iter().copied().filter(|id| id >> 32 == connection).collect();
        let sampled = share.iter().filter(|id| id.is_multiple_of(100)).count();
        assert!(sampled.abs_diff(share.len() / 100) <= 1, "connection {connection}: {sampled} of {}", share.len());
    }
    stack.stop();
}

#[test]
#[cfg(target_os = "linux")]
fn ctrl_c_writes_the_finished_levels_and_leaves_no_process() {
    let out = tempfile::tempdir().unwrap();
    let mut child = driver(&["sweep", "--duration", "300ms", "--warmup", "0s", "--out", out.path().to_str().unwrap()])
        .env("STAMPEDE_TEST_MARK", "ctrl-c")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = lines(&mut child);
    // The heading and two levels.
    for _ in 0..3 {
        next(&lines);
    }
    assert!(marked("ctrl-c").len() >= 6, "{:#?}", marked("ctrl-c"));
    signal(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let finished = rows(&out.path().join("latest")).len();
    assert!((2..20).contains(&finished), "{finished}");
    none_left("ctrl-c");
}

#[test]
#[cfg(target_os = "linux")]
fn even_sigkill_leaves_no_process() {
    let mut child =
        driver(&["stack", "--json"]).env("STAMPEDE_TEST_MARK", "sigkill").stdout(Stdio::piped()).spawn().unwrap();
    next(&lines(&mut child));
    assert!(marked("sigkill").len() >= 6);
    child.kill().unwrap();
    child.wait().unwrap();
    none_left("sigkill");
}

#[test]
#[cfg(target_os = "linux")]
fn a_part_that_dies_ends_the_stack_with_its_name() {
    let mut child = driver(&["stack", "--json"])
        .env("STAMPEDE_TEST_MARK", "part")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let at: Endpoints = serde_json::from_str(&next(&lines(&mut child))).unwrap();
    kill_process(Pid::from_raw(at.pids.mosquitto.cast_signed()).unwrap(), Signal::KILL).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("mosquitto ended unexpectedly (signal: 9"), "{}", text(&output.stderr));
    none_left("part");
}

#[test]
fn the_drain_waits_for_a_pipeline_that_is_behind() {
    // One worker takes one message at a time, and the next when the broker has acknowledged it.
    let out = tempfile::tempdir().unwrap();
    let output = run(&[
        "sweep",
        "--from",
        "8",
        "--to",
        "8",
        "--duration",
        "1s",
        "--warmup",
        "0s",
        "--json",
        "--pushserver-args",
        "--workers 1 --batch 1 --handoff inline --qos 1",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let level: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(level["load"]["backlog"].as_u64().unwrap() > 0, "the bottleneck made no backlog: {level}");
    assert_eq!(level["books"]["lost"], 0);
}

#[test]
fn what_never_arrives_is_in_the_books() {
    let stack = RunningStack::start(&[]);
    kill_process(Pid::from_raw(stack.at.pids.pushserver.cast_signed()).unwrap(), Signal::STOP).unwrap();
    let out = tempfile::tempdir().unwrap();
    let output = run(&[
        "sweep",
        "--target",
        &stack.at.api,
        "--redis",
        &stack.at.redis,
        "--to",
        "1",
        "--duration",
        "200ms",
        "--warmup",
        "0s",
        "--skip-service-check",
        "--drain-timeout",
        "300ms",
        "--json",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    kill_process(Pid::from_raw(stack.at.pids.pushserver.cast_signed()).unwrap(), Signal::CONT).unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let level: Value = serde_json::from_slice(&output.stdout).unwrap();
    let books = |name: &str| level["books"][name].as_u64().unwrap();
    // What the stopped push server had not taken is still in the queue; what it had asked for is nowhere.
    assert!(books("in_flight") > 0 && books("arrived") == 0, "{level}");
    assert_eq!(books("in_flight") + books("lost"), books("accepted"));
    assert_eq!(level["books"]["lost_by_hop"][0], serde_json::json!(["pushserver", books("lost")]));
    assert_eq!((&level["arrival"]["count"], &level["arrival"]["p50_us"]), (&0.into(), &Value::Null));
    assert!(
        level["stability"]["unstable"].as_str().unwrap().contains("under way when the drain was given up"),
        "{level}"
    );
    assert!(text(&output.stderr).contains("not every accepted message has arrived"), "{}", text(&output.stderr));
    stack.stop();
}

#[test]
fn bad_input_is_named_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (nowhere, no_redis) = (format!("http://{free}"), format!("redis://{free}"));
    for (args, code, told) in [
        (vec!["sweep", "--from", "5", "--to", "2"], 2, "--from 5 is above --to 2"),
        (
            vec!["sweep", "--rate-from", "50", "--rate-to", "20", "--rate-step", "5"],
            2,
            "--rate-from 50 is above --rate-to 20",
        ),
        (vec!["sweep", "--duration", "10"], 2, "write it with its unit"),
        (vec!["sweep", "--to", "5000"], 2, "5000 is not in 1..=2048"),
        (vec!["sweep", "--every", "0"], 2, "whole number from 1"),
        (vec!["sweep", "--out", file.to_str().unwrap()], 1, "choose another folder with --out"),
        (vec!["sweep", "--target", "http://x"], 2, "--redis <URL>"),
        (
            vec!["sweep", "--target", &nowhere, "--redis", &no_redis, "--out", folder.path().to_str().unwrap()],
            1,
            "refused the connection: is it running,",
        ),
        (vec!["load", &nowhere], 1, "nothing answers at"),
        (vec!["load", "localhost"], 2, "write http://host:port/path"),
        (vec!["report", "--redis", &no_redis], 1, "refused the connection: is it running,"),
        (vec!["stack", "--pushserver-args", "'"], 2, "a quote is not closed"),
    ] {
        let output = run(&args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(told), "{args:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_report_on_nothing_says_so() {
    let stack = RunningStack::start(&[]);
    let out = tempfile::tempdir().unwrap();
    for name in ["latest", "no-such-run"] {
        let output = run(&["report", name, "--redis", &stack.at.redis, "--out", out.path().to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            text(&output.stderr).contains(&format!("the log store knows no sweep and no run {name:?}")),
            "{}",
            text(&output.stderr)
        );
    }
    stack.stop();
}

#[test]
fn a_wrong_argument_for_a_service_ends_the_stack_with_the_service_s_own_words() {
    let output = run(&["stack", "--pushserver-args", "--no-such-option"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--no-such-option"), "{}", text(&output.stderr));
}
