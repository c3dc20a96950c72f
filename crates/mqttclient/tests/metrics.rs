//! docs/metrics.md tells what the subscriber serves beside what every service does, and nothing else.
#![allow(clippy::unwrap_used)]

use mqttclient::MqttclientArgs;
use service::Shell;
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

#[tokio::test]
async fn the_section_in_the_docs_lists_what_is_served_and_nothing_else() {
    let (redis, mosquitto) = tokio::try_join!(Redis::start(), Mosquitto::start()).unwrap();
    let args: MqttclientArgs =
        service::parse(["--redis", &redis.url(), "--mqtt", &mosquitto.url(), "--arrivals", "log-store"]).unwrap();
    let shutdown = CancellationToken::new();
    let shell = Shell::open_with("mqttclient", &args.service, shutdown.clone()).await.unwrap();
    let (metrics, readiness) = (shell.metrics.clone(), shell.readiness.clone());
    let running = tokio::spawn(mqttclient::run(args, shell));
    timeout(Duration::from_secs(20), readiness.ready()).await.unwrap();

    let everywhere = listed("Every service");
    let mut own = served(&metrics.encode().unwrap());
    own.retain(|series| !everywhere.contains(series) && !is_of_every_service(series));
    assert_eq!(own, listed("mqttclient"));

    shutdown.cancel();
    running.await.unwrap().unwrap();
}
