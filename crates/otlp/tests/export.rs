//! Traces of real stamps in a real log store, at a collector that answers as it is told to.
#![allow(clippy::unwrap_used)]

use analysis::{Level, Load, StampQuality, Stamps, Sweep, measure};
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use load::{Target, Trust};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use otlp::{Exporter, OtlpOptions, Sent, Services};
use prost::Message;
use stack::Redis;
use stamp::{LogStore, MsgId, Path, SampleEvery, Stage, Traceparent, Tracer, TracerOptions, clock};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

const CONTEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const MESSAGES: u64 = 600;

/// An answer of 130 refused spans, `too old`.
const PARTLY: &[u8] = b"\x0a\x0c\x08\x82\x01\x12\x07too old";

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// How a request is answered: by its number, and its size.
type Behaviour = fn(usize, usize) -> Response;

#[derive(Clone)]
struct Collector {
    behaves: Behaviour,
    requests: Arc<Mutex<(usize, Vec<ExportTraceServiceRequest>)>>,
    peers: Arc<Mutex<HashSet<SocketAddr>>>,
}

async fn take(
    State(collector): State<Collector>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    collector.peers.lock().unwrap().insert(peer);
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-token"], "s3cret");
    let mut plain = Vec::new();
    GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
    let mut requests = collector.requests.lock().unwrap();
    let answer = (collector.behaves)(requests.0, plain.len());
    requests.0 += 1;
    if answer.status() == StatusCode::OK {
        requests.1.push(ExportTraceServiceRequest::decode(&plain[..]).unwrap());
    }
    answer
}

impl Collector {
    async fn start(behaves: Behaviour) -> (Self, Target) {
        let collector = Self { behaves, requests: Arc::default(), peers: Arc::default() };
        let routes = axum::Router::new()
            .route("/base/v1/traces", post(take))
            .route("/base/v1/metrics", post(|| async { StatusCode::OK }))
            .with_state(collector.clone())
            .into_make_service_with_connect_info::<SocketAddr>();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("http://{}/base", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (collector, target)
    }

    fn spans(&self) -> Vec<Span> {
        let requests = &self.requests.lock().unwrap().1;
        let scopes = requests.iter().flat_map(|request| &request.resource_spans).flat_map(|of| &of.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}

/// A log store with the stamps of a run, and its level.
async fn stamped() -> (Redis, Stamps, Sweep, Level) {
    let redis = Redis::start().await.unwrap();
    let url = redis.url().parse().unwrap();
    let tracer = Tracer::start(&url, TracerOptions { every: SampleEvery::new(2).unwrap(), ..TracerOptions::default() });
    let path: Path = "apiserver,enqueue,mqttclient".parse().unwrap();
    let run = tracer.run("r.c01");
    let stages: Vec<_> = path.stages().iter().map(|stage| tracer.stage(stage)).collect();
    for id in 0..MESSAGES {
        let (id, context) = (MsgId::new(id).unwrap(), CONTEXT.parse::<Traceparent>().ok().filter(|_| id == 8));
        run.stamp_traced(stages[0], id, clock::now(), context);
        run.stamp(stages[1], id);
        // The last one does not arrive.
        if id.get() < MESSAGES - 2 {
            run.stamp(stages[2], id);
        }
    }
    tracer.flush().await;
    let mut stamps = Stamps::from(LogStore::connect(&url).await.unwrap());
    let sweep = Sweep::of_load("r".parse().unwrap(), 2, &path);
    let mut quality = StampQuality::new(&sweep.path);
    let level =
        measure(&mut stamps, &Load::foreign("r.c01".parse().unwrap()), &sweep, &mut quality, &|| ()).await.unwrap();
    (redis, stamps, sweep, level)
}

async fn export(behaves: Behaviour) -> (Collector, Sent) {
    let (collector, target) = Collector::start(behaves).await;
    let minute = Duration::from_secs(60);
    let sent = export_to(target, minute, |note| assert!(!note.contains("s3cret"), "{note}")).await;
    (collector, sent)
}

async fn export_to(collector: Target, within: Duration, note: fn(&str)) -> Sent {
    let (_redis, mut stamps, sweep, level) = stamped().await;
    let options = OtlpOptions {
        collector,
        headers: vec![("X-Token".to_owned(), "s3cret".to_owned())],
        trust: Trust::System,
        queue: Some("orders".to_owned()),
        topic: "/t".to_owned(),
        within,
    };
    let mut exporter = Exporter::new(options, note).unwrap();
    exporter.level(&mut stamps, &level, &sweep.path, &Services::default()).await.unwrap();
    exporter.sent()
}

fn fine() -> Response {
    ExportTraceServiceResponse::default().encode_to_vec().into_response()
}

#[tokio::test]
async fn every_sampled_message_is_a_trace_once() {
    let (collector, sent) = export(|_, _| fine()).await;
    let spans = collector.spans();
    let roots: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id.is_empty()).collect();
    assert_eq!(collector.peers.lock().unwrap().len(), 1);
    // One that did not arrive lacks its last hop.
    assert_eq!((roots.len(), spans.len()), (300, 300 * 3 - 1));
    assert_eq!(sent, Sent { messages: 300, spans: 899, unsent: 0, rejected: 0 });
    let mut traces: Vec<&[u8]> = roots.iter().map(|root| &root.trace_id[..]).collect();
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 300);
    let linked: Vec<&&Span> = roots.iter().filter(|root| !root.links.is_empty()).collect();
    let context: Traceparent = CONTEXT.parse().unwrap();
    assert_eq!(linked.len(), 1);
    assert_eq!(
        (&linked[0].links[0].trace_id[..], &linked[0].links[0].span_id[..]),
        (&context.trace_id()[..], &context.span_id()[..])
    );
    assert_eq!(roots.iter().filter(|root| root.status.is_some()).count(), 1);
    for span in spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
        let root = roots.iter().find(|root| root.trace_id == span.trace_id).unwrap();
        assert_eq!(root.span_id, span.parent_span_id);
        assert!(
            root.start_time_unix_nano <= span.start_time_unix_nano
                && span.end_time_unix_nano <= root.end_time_unix_nano
        );
    }
}

#[tokio::test]
async fn what_is_too_large_is_sent_in_smaller_parts() {
    let (collector, sent) =
        export(|_, size| if size > 20_000 { StatusCode::PAYLOAD_TOO_LARGE.into_response() } else { fine() }).await;
    assert_eq!((sent.messages, sent.unsent, collector.spans().len()), (300, 0, 899));
}

#[tokio::test]
async fn a_busy_collector_is_asked_again_when_it_says_so() {
    let busy = |number, _| match number {
        0 => (StatusCode::TOO_MANY_REQUESTS, [("Retry-After", "0")]).into_response(),
        1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => ([("Connection", "close")], fine()).into_response(),
    };
    let (collector, sent) = export(busy).await;
    assert_eq!((sent.messages, collector.spans().len(), collector.peers.lock().unwrap().len()), (300, 899, 2));
}

#[tokio::test]
async fn what_is_refused_is_told_however_it_is_written() {
    let (_, sent) = export(|_, _| StatusCode::UNAUTHORIZED.into_response()).await;
    assert_eq!(sent, Sent { unsent: 300, ..Sent::default() });
    let partial = ExportTracePartialSuccess { rejected_spans: 130, error_message: "too old".to_owned() };
    assert_eq!(ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec(), PARTLY);
    let partly: [Behaviour; 4] = [
        |_, _| PARTLY.into_response(),
        |_, _| ([("Content-Encoding", "gzip")], gzip(PARTLY)).into_response(),
        |_, _| {
            let body = r#"{"partialSuccess":{"rejectedSpans":"130","errorMessage":"too old"}}"#;
            ([("Content-Type", "application/json; charset=utf-8")], body).into_response()
        },
        |_, _| {
            let body = gzip(br#"{"partialSuccess":{"rejectedSpans":130}}"#);
            ([("Content-Type", "application/json"), ("Content-Encoding", "gzip")], body).into_response()
        },
    ];
    for behaves in partly {
        let (_, sent) = export(behaves).await;
        // Two requests.
        assert_eq!((sent.messages, sent.rejected), (300, 260));
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_once() {
    static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let (_, target) =
        Collector::start(|_, _| ([("Content-Type", "text/html")], "<html>hello</html>").into_response()).await;
    let minute = Duration::from_secs(60);
    let sent = export_to(target, minute, |note| NOTES.lock().unwrap().push(note.to_owned())).await;
    assert_eq!(sent, Sent { messages: 300, spans: 899, unsent: 0, rejected: 0 });
    let notes = NOTES.lock().unwrap();
    assert!(notes.len() == 1 && notes[0].contains("is no answer of OTLP"), "{notes:?}");
}

#[tokio::test]
async fn where_a_collector_has_moved_is_told() {
    static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let moved =
        |_, _| (StatusCode::PERMANENT_REDIRECT, [("Location", "https://other.example/otlp/v1/traces")]).into_response();
    let (_, target) = Collector::start(moved).await;
    let sent = export_to(target, Duration::from_secs(60), |note| NOTES.lock().unwrap().push(note.to_owned())).await;
    assert_eq!(sent, Sent { unsent: 300, ..Sent::default() });
    let notes = NOTES.lock().unwrap();
    assert!(notes[0].contains("308: it has moved: give --otlp https://other.example/otlp instead"), "{notes:?}");
}

#[tokio::test]
async fn tls_to_a_plain_port_is_told_with_its_remedy() {
    static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let (_, target) = Collector::start(|_, _| fine()).await;
    let secure = target.to_string().replace("http://", "https://").parse().unwrap();
    let sent = export_to(secure, Duration::from_secs(60), |note| NOTES.lock().unwrap().push(note.to_owned())).await;
    assert_eq!(sent, Sent { unsent: 300, ..Sent::default() });
    let notes = NOTES.lock().unwrap();
    assert!(notes[0].contains("http://") && !notes[0].contains("--otlp-ca"), "{notes:?}");
}

#[tokio::test]
async fn a_collector_that_repeats_what_it_was_sent_shows_no_secret() {
    // What is told is searched for it in `export`.
    let (_, sent) = export(|_, _| (StatusCode::BAD_REQUEST, r#"{"X-Token":"s3cret"}"#).into_response()).await;
    assert_eq!(sent.unsent, 300);
    let partly = |_, _| {
        let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message: "no quota for s3cret".to_owned() };
        ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec().into_response()
    };
    let (_, sent) = export(partly).await;
    assert_eq!((sent.messages, sent.rejected), (300, 2));
}

#[tokio::test]
async fn a_collector_that_asks_for_endless_patience_is_given_up() {
    let (_, sent) =
        export(|_, _| (StatusCode::TOO_MANY_REQUESTS, [("Retry-After", "18446744073709551615")]).into_response()).await;
    assert_eq!(sent, Sent { unsent: 300, ..Sent::default() });
}

#[tokio::test]
async fn what_the_time_was_too_short_for_is_no_fault_of_the_collector() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let told =
        |note: &str| assert!(note.starts_with("--otlp: the time of --otlp-within is over; 300 of 300"), "{note}");
    let sent = export_to(target, Duration::from_millis(50), told).await;
    assert_eq!(sent, Sent { unsent: 300, ..Sent::default() });
}

#[test]
fn an_address_with_a_query_is_refused() {
    let options = OtlpOptions {
        collector: "http://h/?tenant=x".parse().unwrap(),
        headers: Vec::new(),
        trust: Trust::System,
        queue: None,
        topic: Stage::PUBLISH.to_string(),
        within: Duration::from_secs(1),
    };
    insta::assert_snapshot!(Exporter::new(options, |_| ()).unwrap_err(), @"--otlp http://h/?tenant=x: give the collector's base address, without a query: /v1/traces is added to it");
}
