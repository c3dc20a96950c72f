//! `/metrics` of a real service with a real log store: what is there, that it counts, and that docs/metrics.md tells it.
#![allow(clippy::unwrap_used)]
// What is compared is whole, and small.
#![allow(clippy::float_cmp)]

use clap::Args;
use service::{ServiceArgs, Shell};
use stack::Redis;
use stamp::{MsgId, Stage, Tracer};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The arguments of a service that has none of its own.
#[derive(Debug, Args)]
struct TestArgs {
    #[command(flatten)]
    service: ServiceArgs,
}

struct TestService {
    url: String,
    tracer: Tracer,
    metrics: service::Metrics,
    redis_part: service::Part,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
    redis: Redis,
}

impl TestService {
    async fn start() -> Self {
        let redis = Redis::start().await.unwrap();
        let args: TestArgs = service::parse(["--redis", &redis.url(), "--every", "1"]).unwrap();
        let shutdown = CancellationToken::new();
        let shell = Shell::open_with("tested", &args.service, shutdown.clone()).await.unwrap();
        let url = format!("http://{}/metrics", shell.address().unwrap());
        let (tracer, metrics, redis_part) =
            (shell.tracer.clone(), shell.metrics.clone(), shell.readiness.part("redis"));
        let running = tokio::spawn(shell.serve());
        Self { url, tracer, metrics, redis_part, shutdown, running, redis }
    }

    async fn scrape(&self) -> Page {
        let response = reqwest::get(&self.url).await.unwrap();
        assert_eq!(response.status(), 200);
        let kind = &response.headers()["content-type"];
        assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        Page::parse(&response.text().await.unwrap())
    }

    /// The first page that has what is bound to come.
    async fn page_with(&self, has: impl Fn(&Page) -> bool) -> Page {
        let polling = async {
            loop {
                let page = self.scrape().await;
                if has(&page) {
                    return page;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), polling).await.unwrap()
    }
}

/// A page of metrics, as a reader of `OpenMetrics` understands it.
#[derive(Debug)]
struct Page {
    samples: BTreeMap<String, f64>,
    /// The families as docs/metrics.md names them, and their types.
    families: BTreeSet<(String, String)>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.pop(), Some("# EOF"));
        let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
        for line in lines {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').unwrap();
                let suffix = match kind {
                    "counter" => "_total",
                    "info" => "_info",
                    _ => "",
                };
                assert!(families.insert((format!("{name}{suffix}"), kind.to_owned())), "{name} is there twice");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{name} is there twice");
            }
        }
        Self { samples, families }
    }

    fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("{sample} is not among {:#?}", self.samples.keys()))
    }
}

#[tokio::test]
async fn a_service_tells_what_it_does() {
    let service = TestService::start().await;
    let page = service.page_with(|page| page.families.iter().any(|(name, _)| name.contains("clock_error"))).await;
    assert_eq!(
        page.value(&format!("stampede_build_info{{service=\"tested\",version=\"{}\"}}", env!("CARGO_PKG_VERSION"))),
        1.0
    );
    assert_eq!(page.value("stampede_ready"), 0.0);
    assert_eq!(page.value("stampede_part_ready{part=\"redis\"}"), 0.0);
    assert!(page.value("process_resident_memory_bytes") > 1e6);
    assert!(page.value("process_cpu_seconds_total") >= 0.0);
    assert!(page.value("process_open_fds") > 3.0);
    let age = stamp::clock::unix_now().as_secs_f64() - page.value("process_start_time_seconds");
    assert!((-2.0..86_400.0).contains(&age), "the process is {age} s old");
    assert!(page.value("stampede_clock_error_bound_seconds") < 1.0);
    assert_eq!(page.value("stampede_clock_steps_total"), 0.0);

    service.redis_part.set(true);
    for (run, ids) in [("first", 0..30), ("second", 30..50)] {
        let run = service.tracer.run(run);
        for id in ids {
            run.stamp(service.tracer.stage(&Stage::ENQUEUE), MsgId::new(id).unwrap());
        }
    }
    service.tracer.run("first").count(service.tracer.counter("garbage"), 3);
    service.metrics.latency(&Stage::APISERVER, &Stage::ENQUEUE).observe(Duration::from_micros(1500));
    service.tracer.flush().await;
    let page = service.scrape().await;
    assert_eq!(page.value("stampede_ready"), 1.0);
    assert_eq!(page.value("stampede_part_ready{part=\"redis\"}"), 1.0);
    assert_eq!(page.value("stampede_messages_total{stage=\"enqueue\"}"), 50.0);
    assert_eq!(page.value("stampede_events_total{event=\"garbage\"}"), 3.0);
    assert_eq!(page.value("stampede_stamps_written_total"), 50.0);
    assert_eq!(page.value("stampede_stamps_waiting"), 0.0);
    assert_eq!(page.value("stampede_stamps_dropped_total{stage=\"enqueue\"}"), 0.0);
    assert_eq!(page.value("stampede_log_store_connected"), 1.0);
    let latency = |sample: &str| page.value(&format!("stampede_stage_latency_seconds_{sample}"));
    assert_eq!(latency("bucket{le=\"0.001\",from=\"apiserver\",to=\"enqueue\"}"), 0.0);
    assert_eq!(latency("bucket{le=\"0.002\",from=\"apiserver\",to=\"enqueue\"}"), 1.0);
    assert_eq!(latency("count{from=\"apiserver\",to=\"enqueue\"}"), 1.0);

    service.shutdown.cancel();
    service.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_lost_log_store_shows() {
    let mut service = TestService::start().await;
    service.page_with(|page| page.value("stampede_log_store_connected") == 1.0).await;
    service.redis.process.kill();
    service.page_with(|page| page.value("stampede_log_store_connected") == 0.0).await;
    service.tracer.stamp(&Stage::ENQUEUE, MsgId::new(1).unwrap());
    let page = service.page_with(|page| page.value("stampede_stamps_waiting") == 1.0).await;
    assert_eq!(page.value("stampede_stamps_written_total"), 0.0);
}

#[tokio::test]
async fn the_page_in_the_docs_lists_what_is_served_and_nothing_else() {
    let service = TestService::start().await;
    let _ = service.metrics.latency(&Stage::APISERVER, &Stage::ENQUEUE);
    let _ = service.metrics.reconnects("redis");
    let page = service.page_with(|page| page.families.iter().any(|(name, _)| name.contains("clock_error"))).await;
    let docs = include_str!("../../../docs/metrics.md");
    let section = docs.split("\n## ").find(|section| section.starts_with("Every service")).unwrap();
    let listed: BTreeSet<_> = section
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.to_owned()))
        })
        .collect();
    assert_eq!(listed, page.families);
}
