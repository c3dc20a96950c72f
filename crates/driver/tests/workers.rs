//! Several workers that make one load: real processes, which meet in a real Redis, over a real pipeline.
#![allow(clippy::unwrap_used)]

mod server;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use server::{ACCEPTED, answering, load, number, request, server};
use stack::{Cpus, Redis, Replicas, Stack, StackOptions};
use stamp::{LogStore, SampleEvery};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A process that ends with its test.
struct Running(Option<Child>);

impl Running {
    fn start(args: &[&str]) -> Self {
        Self(Some(driver(args).spawn().unwrap()))
    }

    fn signal(&self, signal: Signal) {
        let pid = self.0.as_ref().unwrap().id().cast_signed();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    fn output(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn driver(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driver"));
    command.args(args).env("RUST_LOG", "warn").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("latest/report.json")).unwrap()).unwrap()
}

async fn pipeline() -> Stack {
    let options = StackOptions {
        executable: env!("CARGO_BIN_EXE_driver").into(),
        every: SampleEvery::new(10).unwrap(),
        persistent: false,
        apiserver_args: Vec::new(),
        pushserver_args: Vec::new(),
        mqttclient_args: Vec::new(),
        replicas: Replicas::default(),
        cpus: Cpus::default(),
    };
    Stack::start(&options).await.unwrap()
}

fn worker(redis: &str, allowed: &str) -> Running {
    Running::start(&["worker", "--redis", redis, "--allow-target", allowed, "--every", "10"])
}

/// A sweep of one level on a pipeline that is there, with workers that are there.
fn sweep(stack: &Stack, out: &Path, args: &[&str]) -> Vec<String> {
    let ends = stack.endpoints();
    let fixed = ["sweep", "--target", &ends.api, "--redis", &ends.redis, "--every", "10", "--warmup", "0s", "--out"];
    let fixed = fixed.map(str::to_owned).into_iter().chain([out.display().to_string()]);
    fixed.chain(args.iter().map(|arg| (*arg).to_owned())).collect()
}

fn start(args: &[String]) -> Running {
    Running::start(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Polls until it is so, for a minute.
async fn until<F: Future<Output = bool>>(mut poll: impl FnMut() -> F, otherwise: &str) {
    let polled = timeout(Duration::from_secs(60), async {
        while !poll().await {
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(polled.await.is_ok(), "{otherwise}");
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
    let args = ["sweep", "--workers", "2", "--rates", "300", "-d", "2s", "--every", "10", "--warmup", "0s", "--out"];
    let output = driver(&args).arg(out.path()).output().unwrap();
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
    let (result, code) = load(answering(ACCEPTED), &["--workers", "3", "-n", "1000", "-c", "7"]);
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
    let output = driver(&["run", "--workers", "4", "--out"])
        .arg(folder.path().join("out"))
        .arg(folder.path().join("p.yaml"))
        .output()
        .unwrap();
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
    let running = start(&sweep(&stack, out.path(), &["--workers", "3", "--rates", "600", "-d", "8s"]));
    let log = &log;
    let sent = || async move {
        let runs = log.runs().await.unwrap();
        match runs.first() {
            Some(run) => log.counts(run).await.unwrap().get("enqueue") > 300,
            None => false,
        }
    };
    until(sent, "no load").await;
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
    let log = &log;
    let there = || async move {
        let beats = log.services().await.unwrap();
        beats.iter().filter(|beat| beat.service == "worker" && beat.clock.is_some()).count() == 2
    };
    until(there, "no workers").await;
    let load = |more: &[&str]| {
        let fixed = ["load", &api, "--log-store", &url, "-d", "1s", "--workers"];
        driver(&[&fixed[..], more].concat()).output().unwrap()
    };
    for (more, why) in [
        (&["2", "--every", "10", "--workers-within", "1s"][..], "may load http://127.0.0.1:1, and not"),
        (&["1", "--workers-within", "1s"], "samples 1 in 10, and this load 1 in 100: give both the same --every"),
        (&["3", "--every", "10", "--workers-within", "1s"], "start more with `driver worker`"),
        (
            &["1", "--every", "10", "--workers-within", "1s", "--worker-clock-error", "1us"],
            "allow more with --worker-clock-error",
        ),
    ] {
        let output = load(more);
        assert_eq!(output.status.code(), Some(1), "{more:?}: {}", told(&output));
        assert!(told(&output).contains(why), "{more:?}: {}", told(&output));
    }
    // Known before any is started.
    let output = driver(&["load", &api, "-d", "1s", "--workers", "1024"]).output().unwrap();
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
        let options = ["--log-store", &url, "--workers", "2", "--every", "10", "-c", "2", "--think-time", "20ms"];
        driver(&[&["load", &api, "-d", lasts, "--workers-within", within][..], &options].concat())
    };
    let mut first = Running(Some(load("60s", "20s").spawn().unwrap()));
    let log = &log;
    let taken = || async move {
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
    until(taken, "no load has begun").await;
    let output = load("1s", "1s").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("is at work for load-"), "{}", told(&output));
    // Nobody releases them.
    first.0.as_mut().unwrap().kill().unwrap();
    let output = load("1s", "30s").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

#[tokio::test]
async fn a_worker_for_one_job_ends_with_it() {
    let redis = Redis::start().await.unwrap();
    let (url, address) = (redis.url(), answering(ACCEPTED));
    let api = format!("http://{address}");
    let once = ["worker", "--redis", &url, "--allow-target", &api, "--every", "10", "--once"];
    let workers = [Running::start(&once), Running::start(&once)];
    let options = ["--log-store", &url, "--workers", "2", "--every", "10", "-n", "100"];
    let output = driver(&[&["load", &api][..], &options].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    for worker in workers {
        let output = worker.output();
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    }
    // One that nobody wants.
    let output = driver(&[&once[..], &["--idle-limit", "300ms"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("no coordinator has taken this worker within 0.3 s"), "{}", told(&output));
}
