//! Several workers that make one load: real processes, which meet in a real Redis, over a real pipeline.
#![allow(clippy::unwrap_used)]

mod driving;
mod server;

use driving::{Running, driver, report, run, told, until_so};
use rustix::process::Signal;
use serde_json::Value;
use server::{ACCEPTED, answering, load, number, request, server};
use stack::{Redis, Stack};
use stamp::LogStore;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

async fn pipeline() -> Stack {
    Stack::start(&driving::options("10")).await.unwrap()
}

fn start(line: &str) -> Running {
    Running::start(&mut driver(line))
}

fn worker(redis: &str, allowed: &str) -> Running {
    start(&format!("worker --redis {redis} --allow-target {allowed} --every 10"))
}

/// Starts a sweep of one level on a pipeline that is there, with workers that are there.
fn sweep(stack: &Stack, out: &Path, options: &str) -> Running {
    let (api, redis) = (&stack.endpoints().api, &stack.endpoints().redis);
    let fixed = format!("--target {api} --redis {redis} --every 10 --warmup 0s --out {}", out.display());
    start(&format!("sweep {fixed} {options}"))
}

/// What the books of a level say: all that was taken in has arrived, once.
fn assert_balanced(level: &Value) {
    let books = &level["books"];
    assert_eq!(number(&books["accepted"]) + number(&books["unanswered"]), number(&books["arrived"]), "{books}");
    assert_eq!((books["lost"].as_i64(), number(&books["duplicates"])), (Some(0), 0), "{books}");
}

#[test]
fn a_sweep_beside_a_private_pipeline_starts_its_workers() {
    let out = tempfile::tempdir().unwrap();
    let sweep = "sweep --workers 2 --rates 300 -d 2s --every 10 --warmup 0s --out";
    let output = run(format!("{sweep} {}", out.path().display()));
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let report = report(out.path());
    let level = &report["levels"][0];
    let workers = level["load"]["workers"].as_array().unwrap();
    let of = |figure: &str| workers.iter().map(|worker| number(&worker[figure])).collect::<Vec<_>>();
    // Every other request of the one schedule.
    assert_eq!(
        (of("number"), of("requests"), number(&level["load"]["http"]["requests"])),
        (vec![1, 2], vec![300, 300], 600)
    );
    assert_balanced(level);
    assert_eq!(number(&level["traces"]["complete"]), number(&level["traces"]["sampled"]), "{}", level["traces"]);
    let lines = fs::read_to_string(out.path().join("latest/workers.tsv")).unwrap();
    assert_eq!(lines.lines().count(), 3, "{lines}");
    assert!(fs::read_to_string(out.path().join("latest/report.html")).unwrap().contains("id=\"workers\""));
}

#[test]
fn an_api_alone_is_loaded_by_as_many_requests_as_are_asked_for() {
    let (result, code) = load(answering(ACCEPTED), "--workers 3 -n 1000 -c 7");
    assert_eq!((code, number(&result["requests"]), number(&result["accepted"])), (Some(0), 1000, 1000), "{result}");
    let sent: Vec<u64> = result["workers"].as_array().unwrap().iter().map(|one| number(&one["requests"])).collect();
    assert_eq!((sent.len(), sent.iter().sum::<u64>(), number(&result["connections"])), (3, 1000, 7), "{result}");
}

#[test]
fn users_of_a_plan_are_shared_out_with_their_rows() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let had = asked.clone();
    let address = server(move |mut stream| {
        while let Some(bytes) = request(&mut stream) {
            had.lock().unwrap().push(String::from_utf8_lossy(&bytes).split(' ').nth(1).unwrap().to_owned());
            if stream.write_all(ACCEPTED).is_err() {
                return;
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..6).map(|name| format!("user-{name}")).collect();
    fs::write(folder.path().join("names.csv"), format!("name\n{}\n", names.join("\n"))).unwrap();
    let plan = format!(
        "stampede: 1\ntarget: http://{address}\ndata:\n  names:\n    csv: names.csv\n    take: unique\nload:\n  users: 6\n  spawn: 20/s\n  duration: 1s\n\
         users:\n  buyer:\n    pace: 100ms\n    on_start:\n      - GET: /login/${{names.name}}\n    tasks:\n      buy:\n        steps:\n          - GET: /buy/${{names.name}}\n"
    );
    fs::write(folder.path().join("p.yaml"), plan).unwrap();
    let output = run(format!("run --workers 4 --out {0}/out {0}/p.yaml", folder.path().display()));
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let asked = asked.lock().unwrap();
    let with =
        |start: &str| asked.iter().filter_map(|path| path.strip_prefix(start)).map(str::to_owned).collect::<Vec<_>>();
    let mut logins = with("/login/");
    logins.sort();
    assert_eq!(logins, names);
    assert_eq!(BTreeSet::from_iter(with("/buy/")), BTreeSet::from_iter(names));
    let level = &report(&folder.path().join("out"))["levels"][0];
    assert_eq!(number(&level["load"]["scenario"]["users"]), 6, "{level}");
}

#[tokio::test]
async fn a_worker_that_is_killed_is_told_of_and_its_messages_are_booked() {
    let stack = pipeline().await;
    let (redis, api) = (&stack.endpoints().redis, &stack.endpoints().api);
    let log = LogStore::connect(&redis.parse().unwrap()).await.unwrap();
    let workers = [worker(redis, api), worker(redis, api), worker(redis, api)];
    let out = tempfile::tempdir().unwrap();
    let running = sweep(&stack, out.path(), "--workers 3 --rates 600 -d 8s");
    let sent = async || {
        let runs = log.runs().await.unwrap();
        match runs.first() {
            Some(run) => log.counts(run).await.unwrap().get("enqueue") > 300,
            None => false,
        }
    };
    until_so(sent, "no load").await;
    workers[1].signal(Signal::KILL);
    let output = running.output();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("1 of 3 workers lost at"), "{}", told(&output));
    let report = report(out.path());
    let level = &report["levels"][0];
    assert_balanced(level);
    let limited = level["load"]["generator_limited"].as_str().unwrap();
    assert!(limited.contains("33 % of the load was not sent from then on"), "{limited}");
    let workers = level["load"]["workers"].as_array().unwrap();
    assert_eq!(workers.iter().filter(|worker| worker["lost_us"].is_u64()).count(), 1, "{workers:?}");
    assert!(
        report["findings"]["capacity"]["rate_per_sec"].is_null() || report["findings"]["capacity"].is_null(),
        "{}",
        report["findings"]
    );
    stack.stop().await;
}

#[tokio::test]
async fn who_cannot_be_had_is_told_with_the_remedy() {
    let redis = Redis::start().await.unwrap();
    let (url, address) = (redis.url(), answering(ACCEPTED));
    let api = format!("http://{address}");
    let log = LogStore::connect(&url.parse().unwrap()).await.unwrap();
    // One that may load something else only, and one that fits.
    let workers = [worker(&url, "http://127.0.0.1:1"), worker(&url, &api)];
    let there = async || {
        let beats = log.services().await.unwrap();
        beats.iter().filter(|beat| beat.service == "worker" && beat.clock.is_some()).count() == 2
    };
    until_so(there, "no workers").await;
    let load = |options: &str| run(format!("load {api} --log-store {url} -d 1s --workers {options}"));
    for (options, why) in [
        ("2 --every 10 --workers-within 1s", "may load http://127.0.0.1:1, and not"),
        ("1 --workers-within 1s", "samples 1 in 10, and this load 1 in 100: give both the same --every"),
        ("3 --every 10 --workers-within 1s", "start more with `driver worker`"),
        ("1 --every 10 --workers-within 1s --worker-clock-error 1us", "allow more with --worker-clock-error"),
    ] {
        let output = load(options);
        assert_eq!(output.status.code(), Some(1), "{options}: {}", told(&output));
        assert!(told(&output).contains(why), "{options}: {}", told(&output));
    }
    // Known before any is started.
    let output = run(format!("load {api} -d 1s --workers 1024"));
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("1024 is not in 1..=1023"), "{}", told(&output));
    for worker in workers {
        worker.signal(Signal::TERM);
        let output = worker.output();
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    }
}

#[tokio::test]
async fn workers_are_one_coordinators_at_a_time_and_free_when_it_has_died() {
    let redis = Redis::start().await.unwrap();
    let (url, address) = (redis.url(), answering(ACCEPTED));
    let api = format!("http://{address}");
    let log = LogStore::connect(&url.parse().unwrap()).await.unwrap();
    let _workers = [worker(&url, &api), worker(&url, &api)];
    let load = |lasts: &'static str, within: &'static str| {
        let options = format!("--log-store {url} --workers 2 --every 10 -c 2 --think-time 20ms");
        driver(format!("load {api} -d {lasts} --workers-within {within} {options}"))
    };
    let mut first = Running::start(&mut load("60s", "20s"));
    let taken = async || {
        let mut beats = log.services().await.unwrap();
        beats.retain(|beat| beat.service == "worker");
        for beat in &beats {
            if log
                .get(&stamp::keys::worker(&beat.instance))
                .await
                .unwrap()
                .is_none_or(|order| !order.contains("begin_us\":1"))
            {
                return false;
            }
        }
        beats.len() == 2
    };
    until_so(taken, "no load has begun").await;
    let output = load("1s", "1s").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("is at work for load-"), "{}", told(&output));
    // Nobody releases them.
    first.child().kill().unwrap();
    let output = load("1s", "30s").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

#[tokio::test]
async fn a_worker_for_one_job_ends_with_it() {
    let redis = Redis::start().await.unwrap();
    let (url, address) = (redis.url(), answering(ACCEPTED));
    let api = format!("http://{address}");
    let once = format!("worker --redis {url} --allow-target {api} --every 10 --once");
    let workers = [start(&once), start(&once)];
    let output = run(format!("load {api} --log-store {url} --workers 2 --every 10 -n 100"));
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    for worker in workers {
        let output = worker.output();
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    }
    // One that nobody wants.
    let output = run(format!("{once} --idle-limit 300ms"));
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("no coordinator has taken this worker within 0.3 s"), "{}", told(&output));
}
