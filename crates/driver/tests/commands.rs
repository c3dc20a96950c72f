//! The executable as a user runs it: real servers, real processes.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::{Running, RunningStack, driver, json, kill, level, printed, report, run, told, until};
#[cfg(target_os = "linux")]
use driving::{marked, none_left};
use rustix::process::Signal;
use serde_json::Value;
use stack::Endpoints;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

fn post(stack: &RunningStack, body: &str) -> String {
    let mut stream = TcpStream::connect(stack.at.api.trim_start_matches("http://")).unwrap();
    let length = body.len();
    let head = "POST /adapter2/poweron/44300 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ";
    write!(stream, "{head}{length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A list in Redis, once it is so long.
fn list(stack: &RunningStack, key: &str, length: usize) -> Vec<String> {
    let mut redis = redis::Client::open(stack.at.redis.as_str()).unwrap().get_connection().unwrap();
    let mut list = || -> Vec<String> { redis::cmd("LRANGE").arg(key).arg(0).arg(-1).query(&mut redis).unwrap() };
    until(|| Some(list()).filter(|list| list.len() >= length), &format!("{key} never had {length} entries"))
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
    let stack = RunningStack::start("");
    assert!(post(&stack, r#"{"data":"news","id":12000}"#).starts_with("HTTP/1.1 202 "));
    assert!(post(&stack, r#"{"data":"news","id":12001}"#).starts_with("HTTP/1.1 202 "));
    for stage in ["apiserver", "enqueue", "pushserver", "publish", "mqttclient"] {
        let entries = list(&stack, &format!("trace:adhoc:{stage}"), 1);
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
    let folder = out.path().display();
    let args = "sweep --from 1 --to 5 --step 2 --duration 500ms --warmup 100ms --out";
    let output = run(format!("{args} {folder}"));
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(printed(&output).lines().count(), 4, "a heading and three levels: {}", printed(&output));
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
    let report = report(out.path());
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
    let stack = RunningStack::start("");
    let (first, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let output = stack.sweep(first.path(), "--to 2 --duration 300ms --json");
    assert!(output.status.success(), "{}", told(&output));
    let levels: Vec<Value> = printed(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(levels.len(), 2);
    let made_again = format!("report latest --redis {} --out {}", stack.at.redis, again.path().display());
    let report = run(&made_again);
    assert!(report.status.success(), "{}", told(&report));
    let read = |folder: &Path| fs::read_to_string(folder.join("latest/report.tsv")).unwrap();
    assert_eq!(read(first.path()), read(again.path()));
    let held = format!("{made_again} --threshold lost==0");
    assert_eq!(run(&held).status.code(), Some(0));
    assert_eq!(run(format!("{held} --threshold 'rps>1000M'")).status.code(), Some(99));
    stack.stop();
}

#[test]
fn a_sweep_refuses_a_pipeline_that_lacks_a_stage_or_samples_differently() {
    let stack = RunningStack::start("");
    let out = tempfile::tempdir().unwrap();
    let sweep = |more: &str| stack.sweep(out.path(), &format!("--to 1 --duration 200ms --drain-timeout 300ms {more}"));
    for (more, remedy) in [
        (
            "--path send,apiserver,enqueue,enricher,pushserver,publish,mqttclient",
            "no service has registered for enricher:",
        ),
        ("--every 50", "this sweep samples 1 in 50, but apiserver ("),
    ] {
        let output = sweep(more);
        assert_eq!(output.status.code(), Some(1), "{more}");
        assert!(told(&output).contains(remedy), "{more}: {}", told(&output));
    }
    assert!(sweep("--every 50 --skip-service-check").status.success());
    let services = run(format!("services --redis {}", stack.at.redis));
    let listed: Vec<String> =
        printed(&services).lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(listed, ["SERVICE", "apiserver", "mqttclient", "pushserver"]);
    stack.stop();
}

#[test]
fn the_path_may_be_shorter_and_may_come_from_a_file() {
    let stack = RunningStack::start("");
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("path");
    fs::write(&file, "# from end to end\nsend\napiserver\nmqttclient\n").unwrap();
    let options = format!("--to 1 --duration 300ms --json --path {}", file.display());
    let level = level(&stack.sweep(out.path(), &options));
    let hops: Vec<_> = level["hops"].as_array().unwrap().iter().map(|hop| hop["stage"].as_str().unwrap()).collect();
    assert_eq!(hops, ["apiserver", "mqttclient"]);
    // With one hop behind the API server, that hop is the arrival.
    assert_eq!(level["hops"][1]["latency"], level["arrival"]);
    stack.stop();
}

#[test]
fn a_sweep_over_rates_repeats_its_levels_and_says_where_the_generator_gave_way() {
    let out = tempfile::tempdir().unwrap();
    let output = run(format!(
        "sweep --rates 200,400 --repeat 2 --duration 500ms --warmup 100ms --every 1 --out {}",
        out.path().display()
    ));
    assert!(output.status.success(), "{}", told(&output));
    let rows = rows(&out.path().join("latest"));
    let levels: Vec<_> = rows.iter().map(|row| (row["rate"].as_str(), row["repeat"].as_str())).collect();
    assert_eq!(levels, [("200.0", "1"), ("200.0", "2"), ("400.0", "1"), ("400.0", "2")]);
    for (row, due) in rows.iter().zip([100, 100, 200, 200]) {
        // On a machine that is busy with other things, the last ones come too late to be sent.
        assert!((1..=due).contains(&row["accepted"].parse::<u32>().unwrap()), "{row:?}");
    }
    assert!(rows.iter().all(|row| row["lost"] == "0" && row["arrived"] == row["accepted"]), "{rows:?}");
    assert!(printed(&output).contains("spread of"), "{}", printed(&output));
    // More than one connection can do, whatever the machine: every request takes some time.
    let level = json(format!(
        "sweep --rate-from 900000 --rate-to 900000 --rate-step 1 --rate-connections 1 --max-connections 1 \
         --duration 300ms --warmup 0s --json --out {}",
        out.path().display()
    ));
    assert!(level["load"]["generator_limited"].as_str().unwrap().contains("never sent"), "{level}");
    assert_eq!(level["books"]["lost"], 0);
}

#[test]
fn wrk_may_make_the_load() {
    let out = tempfile::tempdir().unwrap();
    let sweep = format!(
        "sweep --generator wrk --from 2 --to 2 --duration 1s --warmup 0s --json --out {}",
        out.path().display()
    );
    let without = driver(&sweep).env("PATH", "/nowhere").output().unwrap();
    assert!(told(&without).contains("needs wrk on PATH"), "{}", told(&without));
    if Command::new("wrk").arg("-v").stdout(Stdio::null()).status().is_err() {
        // Only CI insists on wrk: scripts/setup installs it there.
        return;
    }
    let level = json(&sweep);
    assert!(level["books"]["accepted"].as_u64().unwrap() > 0, "{level}");
    assert_eq!(level["books"]["lost"], 0, "{level}");
    assert_eq!(level["hops"][0]["stage"], "enqueue", "wrk stamps nothing, so the path begins with the API server");
}

#[test]
fn the_clock_command_tells_offset_drift_and_errors() {
    let stack = RunningStack::start("");
    let clock = json(format!("clock --redis {} --duration 300ms --against-host-clock --json", stack.at.redis));
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
    let stack = RunningStack::start("--every 1");
    let result = json(format!("load {} --connections 7 --duration 500ms --run ids --json", stack.at.api));
    let accepted = usize::try_from(result["accepted"].as_u64().unwrap()).unwrap();
    assert_eq!(result["errors"], serde_json::json!({}));
    let ids: Vec<u64> = list(&stack, "trace:ids:mqttclient", accepted)
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
    let mut sweep = driver(format!("sweep --duration 300ms --warmup 0s --out {}", out.path().display()));
    let mut sweep = Running::start(sweep.env("STAMPEDE_TEST_MARK", "ctrl-c").stderr(Stdio::null()));
    let mut lines = sweep.printed();
    // The heading and two levels.
    assert!(lines.nth(2).is_some());
    assert!(marked("ctrl-c").len() >= 6, "{:#?}", marked("ctrl-c"));
    sweep.signal(Signal::INT);
    lines.for_each(drop);
    assert_eq!(sweep.code(), Some(130));
    let finished = rows(&out.path().join("latest")).len();
    assert!((2..20).contains(&finished), "{finished}");
    none_left("ctrl-c");
}

#[test]
#[cfg(target_os = "linux")]
fn even_sigkill_leaves_no_process() {
    let mut stack = Running::start(driver("stack --json").env("STAMPEDE_TEST_MARK", "sigkill"));
    stack.printed().next().unwrap();
    assert!(marked("sigkill").len() >= 6);
    drop(stack);
    none_left("sigkill");
}

#[test]
#[cfg(target_os = "linux")]
fn a_part_that_dies_ends_the_stack_with_its_name() {
    let mut stack = Running::start(driver("stack --json").env("STAMPEDE_TEST_MARK", "part"));
    let at: Endpoints = serde_json::from_str(&stack.printed().next().unwrap()).unwrap();
    kill(at.pids.mosquitto, Signal::KILL);
    let output = stack.output();
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("mosquitto ended unexpectedly (signal: 9"), "{}", told(&output));
    none_left("part");
}

#[test]
fn the_drain_waits_for_a_pipeline_that_is_behind() {
    // One worker takes one message at a time, and the next when the broker has acknowledged it.
    let out = tempfile::tempdir().unwrap();
    let level = json(format!(
        "sweep --from 8 --to 8 --duration 1s --warmup 0s --json --out {} \
         --pushserver-args '--workers 1 --batch 1 --handoff inline --qos 1'",
        out.path().display()
    ));
    assert!(level["load"]["backlog"].as_u64().unwrap() > 0, "the bottleneck made no backlog: {level}");
    assert_eq!(level["books"]["lost"], 0);
}

#[test]
fn what_never_arrives_is_in_the_books() {
    let stack = RunningStack::start("");
    kill(stack.at.pids.pushserver, Signal::STOP);
    let out = tempfile::tempdir().unwrap();
    let options = "--to 1 --duration 200ms --skip-service-check --drain-timeout 300ms --json";
    let output = stack.sweep(out.path(), options);
    kill(stack.at.pids.pushserver, Signal::CONT);
    let level = level(&output);
    let books = |name: &str| level["books"][name].as_u64().unwrap();
    // What the stopped push server had not taken is still in the queue; what it had asked for is nowhere.
    assert!(books("in_flight") > 0 && books("arrived") == 0, "{level}");
    assert_eq!(books("in_flight") + books("lost"), books("accepted"));
    assert_eq!(level["books"]["lost_by_hop"][0], serde_json::json!(["pushserver", books("lost")]));
    assert_eq!((&level["arrival"]["count"], &level["arrival"]["p50_us"]), (&0.into(), &Value::Null));
    assert!(
        level["stability"]["unstable"].as_str().unwrap().contains("had not arrived when the drain was given up"),
        "{level}"
    );
    assert!(told(&output).contains("not every accepted message has arrived"), "{}", told(&output));
    stack.stop();
}

#[test]
fn bad_input_is_named_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (nowhere, no_redis) = (format!("http://{free}"), format!("redis://{free}"));
    let (file, folder) = (file.display(), folder.path().display());
    for (line, code, remedy) in [
        ("sweep --from 5 --to 2", 2, "--from 5 is above --to 2"),
        ("sweep --rate-from 50 --rate-to 20 --rate-step 5", 2, "--rate-from 50 is above --rate-to 20"),
        ("sweep --duration 10", 2, "write it with its unit"),
        ("sweep --to 5000", 2, "5000 is not in 1..=2048"),
        ("sweep --every 0", 2, "whole number from 1"),
        (&format!("sweep --out {file}"), 1, "choose another folder with --out"),
        ("sweep --target http://x", 2, "--redis <URL>"),
        (
            &format!("sweep --target {nowhere} --redis {no_redis} --out {folder}"),
            1,
            "refused the connection: is it running,",
        ),
        (&format!("load {nowhere}"), 1, "nothing answers at"),
        ("load localhost", 2, "write http://host:port/path"),
        (&format!("report --redis {no_redis}"), 1, "refused the connection: is it running,"),
        (r#"stack --pushserver-args "'""#, 2, "a quote is not closed"),
    ] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(code), "{line}: {}", told(&output));
        assert!(told(&output).contains(remedy), "{line}: {}", told(&output));
    }
}

#[test]
fn a_report_on_nothing_says_so() {
    let stack = RunningStack::start("");
    let out = tempfile::tempdir().unwrap();
    for name in ["latest", "no-such-run"] {
        let output = run(format!("report {name} --redis {} --out {}", stack.at.redis, out.path().display()));
        assert_eq!(output.status.code(), Some(1));
        assert!(
            told(&output).contains(&format!("the log store knows no sweep and no run {name:?}")),
            "{}",
            told(&output)
        );
    }
    stack.stop();
}

#[test]
fn a_wrong_argument_for_a_service_ends_the_stack_with_the_service_s_own_words() {
    let output = run("stack --pushserver-args --no-such-option");
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("--no-such-option"), "{}", told(&output));
}
