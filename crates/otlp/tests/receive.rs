//! Spans that are posted become stamps in a real log store.
#![allow(clippy::unwrap_used)]

use load::{Exchange, Reply, Target};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::receive::{ReceiveArgs, run};
use prost::Message;
use serde_json::{Value, json};
use service::Shell;
use stack::{Redis, until};
use stamp::{LogStore, Remarks, RunId, Stage, Stamp};
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

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

/// A receiver with a log store of its own.
struct Receiver {
    redis: Redis,
    _map: NamedTempFile,
    target: Target,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Receiver {
    async fn start(redis: Redis, every: u64) -> Self {
        Self::with(redis, every, &[]).await
    }

    async fn with(redis: Redis, every: u64, more: &[&str]) -> Self {
        let map = NamedTempFile::new().unwrap();
        std::fs::write(map.path(), MAP).unwrap();
        let every = every.to_string();
        let redis_url = redis.url();
        let args =
            ["--map", map.path().to_str().unwrap(), "--redis", &redis_url, "--every", &every, "--clock", "redis"];
        let args: ReceiveArgs = service::parse(args.iter().chain(more)).unwrap();
        let shutdown = CancellationToken::new();
        let shell = Shell::open_with("otlp-receive", &args.service, shutdown.clone()).await.unwrap();
        let target = format!("http://{}/v1/traces", shell.address().unwrap()).parse().unwrap();
        let running = tokio::spawn(run(args.read_map().unwrap(), shell, args.finish_within));
        Self { redis, _map: map, target, shutdown, running }
    }

    /// What the log store has, once everything has been written.
    async fn end(self) -> (Redis, LogStore) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        let log = LogStore::connect(&self.redis.url().parse().unwrap()).await.unwrap();
        (self.redis, log)
    }

    async fn post(&self, encoding: &str, body: &[u8]) -> Reply {
        let exchange = Exchange { method: "POST", headers: &[("Content-Type", encoding)], body };
        exchange.with(&self.target, Duration::from_secs(120)).await.unwrap()
    }

    async fn is_ready(&self) -> bool {
        let target = self.target.to_string().replace("/v1/traces", "/readyz").parse().unwrap();
        Exchange::GET.with(&target, Duration::from_secs(10)).await.unwrap().status == 200
    }
}

#[tokio::test]
async fn spans_become_stamps() {
    let receiver = Receiver::start(Redis::start().await.unwrap(), 10).await;
    let first = request(&[
        span("eee19b7ec3c1b171", "work", &attributes(20, "a")),
        span("eee19b7ec3c1b172", "work", &attributes(21, "a")),
        span("eee19b7ec3c1b173", "other", &attributes(30, "a")),
        span("eee19b7ec3c1b174", "work", &attributes(40, "no run")),
        span("eee19b7ec3c1b175", "work", &json!([])),
    ]);
    let reply = receiver.post(JSON, &first).await;
    let told: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &told["partialSuccess"]["rejectedSpans"]), (200, &json!(2)));
    // An exporter that got no answer sends its spans again.
    receiver.post(JSON, &first).await;
    assert_eq!(receiver.post(JSON, b"{").await.status, 400);

    let (_redis, log) = receiver.end().await;
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

/// A request of so many spans, each of which is two sampled stages.
fn many(spans: u64) -> Vec<u8> {
    let attribute = |key: &str, value| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    let span = |id: u64| Span {
        trace_id: u128::from(id + 1).to_be_bytes().to_vec(),
        span_id: (id + 1).to_be_bytes().to_vec(),
        name: "work".to_owned(),
        start_time_unix_nano: 1_763_000_000_000_000_000 + id * 1000,
        end_time_unix_nano: 1_763_000_001_000_000_000 + id * 1000,
        attributes: vec![
            attribute("n", Attribute::IntValue(id.cast_signed())),
            attribute("run", Attribute::StringValue("a".to_owned())),
        ],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (0..spans).map(span).collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// More stamps than may wait.
const MANY: u64 = 70_000;

/// Whether the log store has each message at each stage, once.
async fn assert_all_stamped(receiver: Receiver) {
    let run: RunId = "a".parse().unwrap();
    let log = LogStore::connect(&receiver.redis.url().parse().unwrap()).await.unwrap();
    until(async || log.counts(&run).await.unwrap().get("done") == MANY).await;
    let (_redis, log) = receiver.end().await;
    let counts = log.counts(&run).await.unwrap();
    let told: Vec<(&str, u64)> = counts.iter().collect();
    assert_eq!(told, [("done", MANY), ("taken", MANY)]);
    for stage in ["taken", "done"] {
        assert_eq!(log.length(&format!("trace:a:{stage}")).await.unwrap(), MANY);
    }
}

#[tokio::test]
async fn a_request_of_more_stamps_than_may_wait_is_taken_whole() {
    let receiver = Receiver::start(Redis::start().await.unwrap(), 1).await;
    let reply = receiver.post(PROTOBUF, &many(MANY)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(ExportTraceServiceResponse::decode(&reply.body[..]).unwrap().partial_success, None);
    assert_all_stamped(receiver).await;
}

#[tokio::test]
async fn what_is_too_much_while_the_log_store_is_away_is_sent_again_and_counted_once() {
    let mut receiver = Receiver::start(Redis::start().await.unwrap(), 1).await;
    until(async || receiver.is_ready().await).await;
    receiver.redis.process.kill();
    until(async || !receiver.is_ready().await).await;
    let request = many(MANY);
    let reply = receiver.post(PROTOBUF, &request).await;
    assert_eq!(reply.status, 503);
    assert!(reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("retry-after")));
    receiver.redis.restart().await.unwrap();
    until(async || receiver.is_ready().await).await;
    until(async || receiver.post(PROTOBUF, &request).await.status == 200).await;
    assert_all_stamped(receiver).await;
}

#[tokio::test]
async fn what_was_taken_waits_at_the_end_for_a_log_store_that_comes_back() {
    let (mut receiver, body) = (Receiver::start(Redis::start().await.unwrap(), 1).await, many(100));
    until(async || receiver.is_ready().await).await;
    receiver.redis.process.kill();
    assert_eq!(receiver.post(PROTOBUF, &body).await.status, 200);
    receiver.shutdown.cancel();
    // With the sixth try, the outage has lasted longer than other services would wait: the pauses between tries grow.
    let nobody = TcpListener::bind(("127.0.0.1", receiver.redis.port())).await.unwrap();
    for _ in 0..6 {
        drop(nobody.accept().await.unwrap());
    }
    drop(nobody);
    receiver.redis.restart().await.unwrap();
    let (_redis, log) = receiver.end().await;
    assert_eq!(log.counts(&"a".parse().unwrap()).await.unwrap().get("done"), 100);
}

#[tokio::test]
async fn what_was_taken_and_is_lost_is_told() {
    let mut receiver = Receiver::with(Redis::start().await.unwrap(), 1, &["--finish-within", "100ms"]).await;
    until(async || receiver.is_ready().await).await;
    receiver.redis.process.kill();
    assert_eq!(receiver.post(PROTOBUF, &many(100)).await.status, 200);
    receiver.shutdown.cancel();
    let told = receiver.running.await.unwrap().unwrap_err().to_string();
    assert!(told.contains("of spans that were taken, these are lost"), "{told}");
}

#[tokio::test]
async fn more_spans_than_are_remembered_are_refused_at_once() {
    let receiver = Receiver::start(Redis::start().await.unwrap(), 1).await;
    assert_eq!(receiver.post(PROTOBUF, &many(263_000)).await.status, 413);
    let (_redis, log) = receiver.end().await;
    assert_eq!(log.counts(&"a".parse().unwrap()).await.unwrap().iter().count(), 0);
}

#[tokio::test]
async fn spans_without_ids_count_once_too() {
    let receiver = Receiver::start(Redis::start().await.unwrap(), 1).await;
    let body = request(&[span("", "work", &attributes(1, "a")), span("", "work", &attributes(2, "a"))]);
    for _ in 0..2 {
        assert_eq!(receiver.post(JSON, &body).await.status, 200);
    }
    let (_redis, log) = receiver.end().await;
    assert_eq!(log.counts(&"a".parse().unwrap()).await.unwrap().get("done"), 2);
}

#[tokio::test]
async fn who_sends_slowly_keeps_nobody_out() {
    let receiver = Receiver::start(Redis::start().await.unwrap(), 1).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(receiver.target.authority()).await.unwrap();
        let head =
            "POST /v1/traces HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    // The slow ones have their turn, where they get one.
    assert_eq!(receiver.post(JSON, &request(&[])).await.status, 200);
    assert_eq!(receiver.post(JSON, &request(&[])).await.status, 200);
    drop(slow);
    receiver.end().await;
}
