//! Hosts whose clocks disagree, and a Redis clock that is set in the middle of a run. Every process gets a wall clock of its own,
//! by a preload library that adds to it what a mapped file says.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod driving;

use driving::{Running, driver, level, told, until_so};
use serde_json::Value;
use stack::{Failover, Mosquitto, Process, Redis, RedisOptions, ReplicatedRedis, Sandbox};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const HOUR_NS: i64 = 3_600_000_000_000;
const MINUTE_US: i64 = 60_000_000;

/// The preload library, and the wall clocks that it shifts.
struct Clocks {
    folder: tempfile::TempDir,
    library: PathBuf,
}

impl Clocks {
    fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("preload.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preload.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(built.success());
        Self { folder, library }
    }

    /// Sets a clock to run this much ahead of the machine's.
    fn set(&self, name: &str, ahead_ns: i64) -> PathBuf {
        let file = self.folder.path().join(name);
        // Written in place: the process has the file mapped.
        let written = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&file);
        std::io::Write::write_all(&mut written.unwrap(), &ahead_ns.to_ne_bytes()).unwrap();
        file
    }

    /// A Redis server with this clock.
    async fn redis(&self, sandbox: &Arc<Sandbox>, ahead_ns: i64) -> Redis {
        let file = self.set("redis", ahead_ns);
        let shifted = [("LD_PRELOAD", self.library.as_os_str()), ("STAMPEDE_CLOCK_FILE", file.as_os_str())];
        Redis::start_with(sandbox, &shifted).await.unwrap()
    }

    fn shift<'c>(&self, command: &'c mut Command, name: &str, ahead_ns: i64) -> &'c mut Command {
        command.env("LD_PRELOAD", &self.library).env("STAMPEDE_CLOCK_FILE", self.set(name, ahead_ns))
    }
}

/// A pipeline of processes with a clock each.
struct Pipeline {
    clocks: Clocks,
    api: String,
    log_store: String,
    _services: Vec<Process>,
    _mosquitto: Mosquitto,
    redis: Redis,
}

impl Pipeline {
    async fn start(redis_ahead_ns: i64, services_ahead_ns: [i64; 3]) -> Self {
        let clocks = Clocks::build();
        let sandbox = Arc::new(Sandbox::new().unwrap());
        let redis = clocks.redis(&sandbox, redis_ahead_ns).await;
        let log_store = redis.url();
        Self::start_on(clocks, redis, log_store, &sandbox, services_ahead_ns).await
    }

    /// With the queue in `redis`, and the log store at this address.
    async fn start_on(
        clocks: Clocks,
        redis: Redis,
        log_store: String,
        sandbox: &Arc<Sandbox>,
        services_ahead_ns: [i64; 3],
    ) -> Self {
        let mosquitto = Mosquitto::start_in(sandbox).await.unwrap();
        let (mut services, mut api) = (Vec::new(), String::new());
        for (role, ahead_ns) in ["apiserver", "pushserver", "mqttclient"].into_iter().zip(services_ahead_ns) {
            let mut command = driver(format!("role {role} --redis {} --log-store {log_store} --every 10", redis.url()));
            if role != "apiserver" {
                command.args(["--mqtt", &mosquitto.url()]);
            }
            clocks.shift(&mut command, role, ahead_ns);
            let mut process = Process::spawn(role, command, sandbox).unwrap();
            let listens = |line: &str| serde_json::from_str::<Value>(line).ok()?["listen"].as_str().map(str::to_owned);
            let listen = process.wait_for(listens).await.unwrap();
            if role == "apiserver" {
                api = format!("http://{listen}");
            }
            services.push(process);
        }
        Self { clocks, api, log_store, _services: services, _mosquitto: mosquitto, redis }
    }

    fn sweep(&self, duration: &str, options: &str) -> Running {
        let at = format!("--target {} --redis {} --log-store {}", self.api, self.redis.url(), self.log_store);
        let out = self.clocks.folder.path().display();
        let fixed = format!("--every 10 --to 1 --warmup 0s --duration {duration} --json --out {out}");
        let mut command = driver(format!("sweep {at} {fixed} {options}"));
        Running::start(self.clocks.shift(&mut command, "driver", -5 * HOUR_NS))
    }
}

/// Messages that the apiserver has counted, in whatever runs there are.
async fn sent(log: &stamp::LogStore) -> u64 {
    let mut sent = 0;
    for run in log.runs().await.unwrap() {
        sent += log.counts(&run).await.unwrap().get("apiserver");
    }
    sent
}

/// Every latency is that of a pipeline on one machine, not the difference between two wrong clocks.
fn check_latencies(level: &Value) {
    let hops = level["hops"].as_array().unwrap().iter().map(|hop| &hop["latency"]);
    for latency in hops.chain([&level["arrival"], &level["user"]]) {
        assert!(latency["count"].as_u64().unwrap() > 0, "{latency}");
        // The sample is too small for a p99; the longest says more.
        for value in ["p50_us", "max_us"] {
            assert!(latency[value].as_i64().unwrap().abs() < MINUTE_US, "{value}: {latency}");
        }
    }
    assert_eq!(level["books"]["lost"], 0);
}

#[tokio::test]
async fn hosts_may_be_hours_apart() {
    let pipeline = Pipeline::start(7 * HOUR_NS, [3 * HOUR_NS, -2 * HOUR_NS, 90 * HOUR_NS]).await;
    let level = level(&pipeline.sweep("1s", "").output());
    check_latencies(&level);
    assert_eq!(
        (&level["traces"]["across_steps"], &level["load"]["clock_steps"]),
        (&0.into(), &Value::Array(Vec::new()))
    );
    // The services know how wrong their own clocks are, and that is all they do with it.
    let url = pipeline.redis.url().parse().unwrap();
    let beats = stamp::LogStore::connect(&url).await.unwrap().services().await.unwrap();
    let hours = |beat: &stamp::Beat| (beat.clock.unwrap().host_offset_us as f64 / 3.6e9).round();
    assert_eq!(beats.iter().map(hours).collect::<Vec<_>>(), [-4.0, 83.0, -9.0], "{beats:?}");
}

#[tokio::test]
async fn the_plain_clock_needs_no_agreement_either() {
    let pipeline = Pipeline::start(7 * HOUR_NS, [3 * HOUR_NS, -2 * HOUR_NS, 0]).await;
    let level = level(&pipeline.sweep("500ms", "--clock redis").output());
    check_latencies(&level);
}

#[tokio::test]
async fn a_step_of_the_redis_clock_is_reported_and_tears_no_latency() {
    let pipeline = Pipeline::start(0, [0, HOUR_NS, 0]).await;
    let url = pipeline.redis.url().parse().unwrap();
    let log = stamp::LogStore::connect(&url).await.unwrap();
    let sweep = pipeline.sweep("4s", "");
    // Forwards by an hour, then backwards by two; each once the load is under way and the step before is noted.
    for (noted, ahead_ns) in [HOUR_NS, -HOUR_NS].into_iter().enumerate() {
        let before = sent(&log).await;
        until_so(async || sent(&log).await > before + 100, "it did not come about").await;
        pipeline.clocks.set("redis", ahead_ns);
        until_so(async || log.clock_steps(0).await.unwrap().len() > noted, "it did not come about").await;
    }
    let output = sweep.output();
    let level = level(&output);
    check_latencies(&level);
    let sizes: Vec<i64> =
        level["load"]["clock_steps"].as_array().unwrap().iter().map(|step| step["size"].as_i64().unwrap()).collect();
    assert_eq!(sizes.len(), 2, "every process has seen both steps, and each is noted once: {sizes:?}");
    for (size, expected) in sizes.iter().zip([HOUR_NS / 1000, -2 * HOUR_NS / 1000]) {
        assert!((size - expected).abs() < 100_000, "{sizes:?}");
    }
    // No message is missing: those that were on their way during a step are counted, and left out of the latencies.
    let count = |value: &Value| value.as_u64().unwrap();
    assert_eq!(
        count(&level["arrival"]["count"]) + count(&level["traces"]["across_steps"]),
        count(&level["traces"]["sampled"])
    );
    let told = told(&output);
    assert!(told.contains("2 times the clock of Redis was set"), "{told}");
}

#[tokio::test]
async fn who_probes_late_finds_its_place_among_the_steps_that_others_noted() {
    // Two steps that come as one, and two that cancel out.
    for (noted, ahead_ns) in [([HOUR_NS, -2 * HOUR_NS], -HOUR_NS), ([HOUR_NS, -HOUR_NS], 0)] {
        let clocks = Clocks::build();
        let redis = clocks.redis(&Arc::new(Sandbox::new().unwrap()), 0).await;
        let log = stamp::LogStore::connect(&redis.url().parse().unwrap()).await.unwrap();
        let tracer = stamp::Tracer::connect(&redis.url()).await.unwrap();
        let id = stamp::MsgId::new(100).unwrap();
        let newest_step = async || {
            tracer.stamp(&stamp::Stage::SEND, id);
            tracer.flush().await;
            let mut step = None;
            let take = |entry: &[u8]| step = Some(stamp::Stamp::parse(entry).unwrap().step);
            log.entries(&"adhoc".parse().unwrap(), &stamp::Stage::SEND, take).await.unwrap();
            step.unwrap()
        };
        assert_eq!(newest_step().await, 0);
        let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
        for size_ns in noted {
            let entry = format!(r#"{{"at":"1.000000","size":{},"err":60}}"#, size_ns / 1000);
            let _: () = redis::cmd("RPUSH").arg(stamp::keys::CLOCK_STEPS).arg(entry).query(&mut connection).unwrap();
        }
        clocks.set("redis", ahead_ns);
        until_so(async || newest_step().await == 2, "it did not come about").await;
        assert_eq!(log.clock_steps(0).await.unwrap().len(), 2, "nothing is noted twice");
    }
}

/// A log store whose replica takes over in the middle of a run, on a machine whose clock is an hour ahead.
#[tokio::test]
async fn a_log_store_may_fail_over_to_a_machine_with_another_clock() {
    let clocks = Clocks::build();
    let file = clocks.set("replica", HOUR_NS);
    let environment = [("LD_PRELOAD", clocks.library.as_os_str()), ("STAMPEDE_CLOCK_FILE", file.as_os_str())];
    let environment = environment.map(|(name, value)| (name.into(), value.into())).to_vec();
    let replica = RedisOptions { environment, ..RedisOptions::default() };
    let mut log_store =
        ReplicatedRedis::start(RedisOptions::default(), replica, Duration::from_millis(20)).await.unwrap();
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let redis = Redis::start_in(&sandbox).await.unwrap();
    let pipeline = Pipeline::start_on(clocks, redis, log_store.url(), &sandbox, [0; 3]).await;
    let sweep = pipeline.sweep("3s", "");
    let log = stamp::LogStore::connect(&log_store.url().parse().unwrap()).await.unwrap();
    until_so(async || sent(&log).await > 100, "it did not come about").await;
    log_store.fail_over(Failover::Crash).await.unwrap();
    // The name is served by this thread.
    let output = tokio::task::spawn_blocking(|| sweep.output()).await.unwrap();
    let level = level(&output);
    // The counters are whole again, and tell that no message was lost. Some stamps are: those traces are left out.
    check_latencies(&level);
    let books = &level["books"];
    let whole = |passed: &Value| passed[1] == books["accepted"];
    assert!(books["passed"].as_array().unwrap().iter().all(whole), "{books}");
    let sizes: Vec<i64> =
        level["load"]["clock_steps"].as_array().unwrap().iter().map(|step| step["size"].as_i64().unwrap()).collect();
    assert!(sizes.len() == 1 && (sizes[0] - HOUR_NS / 1000).abs() < 100_000, "{sizes:?}");
}
