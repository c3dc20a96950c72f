//! Spans that are posted become stamps in a real log store.
#![allow(clippy::unwrap_used)]

use load::{Exchange, Reply, Target};
use otlp::receive::{ReceiveArgs, run};
use serde_json::{Value, json};
use service::Shell;
use stack::Redis;
use stamp::{LogStore, Remarks, RunId, Stage, Stamp};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const MAP: &str = "run: { attribute: run }\nid: n\nstages:\n  taken: { span: work }\n  done: { span: work, at: end }\n";

fn span(id: &str, name: &str, attributes: &Value) -> Value {
    json!({"traceId": "5b8efff798038103d269b633813fc60c", "spanId": id, "name": name, "kind": 5,
           "startTimeUnixNano": "1763000000000001999", "endTimeUnixNano": "1763000000100000000", "attributes": attributes})
}

fn request(spans: &[Value]) -> Vec<u8> {
    let resource = json!({"attributes": [{"key": "host.name", "value": {"stringValue": "web 1"}}]});
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).to_string().into_bytes()
}

fn attributes(id: i64, run: &str) -> Value {
    json!([{"key": "n", "value": {"intValue": id.to_string()}}, {"key": "run", "value": {"stringValue": run}}])
}

async fn post(target: &Target, body: &[u8]) -> Reply {
    let exchange = Exchange { method: "POST", headers: &[("Content-Type", "application/json")], body };
    exchange.with(target, Duration::from_secs(10)).await.unwrap()
}

#[tokio::test]
async fn spans_become_stamps() {
    let redis = Redis::start().await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), MAP).unwrap();
    let args = ["--map", file.path().to_str().unwrap(), "--redis", &redis.url(), "--every", "10", "--clock", "redis"];
    let args: ReceiveArgs = service::parse(args).unwrap();
    let shutdown = CancellationToken::new();
    let shell = Shell::open_with("otlp-receive", &args.service, shutdown.clone()).await.unwrap();
    let target: Target = format!("http://{}/v1/traces", shell.address().unwrap()).parse().unwrap();
    let running = tokio::spawn(run(args.read_map().unwrap(), shell));

    let first = request(&[
        span("eee19b7ec3c1b171", "work", &attributes(20, "a")),
        span("eee19b7ec3c1b172", "work", &attributes(21, "a")),
        span("eee19b7ec3c1b173", "other", &attributes(30, "a")),
        span("eee19b7ec3c1b174", "work", &attributes(40, "no run")),
        span("eee19b7ec3c1b175", "work", &json!([])),
    ]);
    let reply = post(&target, &first).await;
    let told: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &told["partialSuccess"]["rejectedSpans"]), (200, &json!(2)));
    // An exporter that got no answer sends its spans again.
    post(&target, &first).await;
    assert_eq!(post(&target, b"{").await.status, 400);

    shutdown.cancel();
    running.await.unwrap().unwrap();
    let log = LogStore::connect(&redis.url().parse().unwrap()).await.unwrap();
    let run: RunId = "a".parse().unwrap();
    let counts = log.counts(&run).await.unwrap();
    assert_eq!((counts.get("taken"), counts.get("done")), (2, 2));
    for (stage, us) in [("taken", 1_763_000_000_000_001), ("done", 1_763_000_000_100_000)] {
        let stage: Stage = stage.parse().unwrap();
        let mut entries = Vec::new();
        log.entries(&run, &stage, |entry| entries.push(entry.to_vec())).await.unwrap();
        assert_eq!(entries.len(), 1);
        let stamp = Stamp::parse(&entries[0]).unwrap();
        assert_eq!((stamp.id, stamp.event_us(), stamp.foreign, stamp.err_us), (20, us, true, None));
        assert_eq!(Remarks::parse(&entries[0]).clock.as_deref(), Some("web-1"));
    }
}
