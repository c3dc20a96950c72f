//! docs/metrics.md tells what each service serves beside what all do, and nothing else.
#![allow(clippy::unwrap_used)]

use service::{ServiceArgs, Shell};
use stack::{Mosquitto, Redis};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// All series of a page, without their values. The parts of a histogram count as one.
fn served(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.replace("_sum{", "{").replace("_count{", "{")).collect()
}

/// The first cells of the table in a section of the docs.
fn listed(section: &str) -> BTreeSet<String> {
    let docs = include_str!("../../../docs/metrics.md");
    let section = docs.split("\n## ").find(|text| text.lines().next() == Some(section)).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
}

/// What every service has with labels of its own, and what the docs say of it there.
fn is_of_every_service(series: &str) -> bool {
    ["stampede_build_info{", "stampede_stamps_dropped_total{", "stampede_part_ready{part=\"start\"}"]
        .iter()
        .any(|known| series.starts_with(known))
}

async fn check(name: &'static str, args: &ServiceArgs, run: impl AsyncFnOnce(Shell) -> anyhow::Result<()>) {
    let shutdown = CancellationToken::new();
    let shell = Shell::open_with(name, args, shutdown.clone()).await.unwrap();
    let (metrics, readiness) = (shell.metrics.clone(), shell.readiness.clone());
    let looking = async {
        timeout(Duration::from_secs(20), readiness.ready()).await.unwrap();
        let everywhere = listed("Every service");
        let mut own = served(&metrics.encode().unwrap());
        own.retain(|series| !everywhere.contains(series) && !is_of_every_service(series));
        assert_eq!(own, listed(name));
        shutdown.cancel();
    };
    let ((), ran) = tokio::join!(looking, run(shell));
    ran.unwrap();
}

#[tokio::test]
async fn the_sections_in_the_docs_list_what_is_served_and_nothing_else() {
    let (redis, mosquitto) = tokio::try_join!(Redis::start(), Mosquitto::start()).unwrap();
    let (redis, mqtt) = (redis.url(), mosquitto.url());
    let args: apiserver::ApiserverArgs = service::parse(["--redis", &redis]).unwrap();
    check("apiserver", &args.service.clone(), async |shell| apiserver::run(args, shell).await).await;
    let args: pushserver::PushserverArgs = service::parse(["--redis", &redis, "--mqtt", &mqtt]).unwrap();
    check("pushserver", &args.service.clone(), async |shell| pushserver::run(args, shell).await).await;
    let args: mqttclient::MqttclientArgs =
        service::parse(["--redis", &redis, "--mqtt", &mqtt, "--arrivals", "log-store"]).unwrap();
    check("mqttclient", &args.service.clone(), async |shell| mqttclient::run(args, shell).await).await;
    let map = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/traced/map.yaml");
    let args: otlp::receive::ReceiveArgs =
        service::parse(["--map", map, "--redis", &redis, "--clock", "redis"]).unwrap();
    let map = args.read_map().unwrap();
    check("otlp-receive", &args.service, async |shell| otlp::receive::run(map, shell, args.finish_within).await).await;
}
