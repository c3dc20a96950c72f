//! The API server against a real Redis: what it accepts, what it refuses, and that it never lies about either.
#![allow(clippy::unwrap_used)]

mod app;

use app::{QUEUE, TestApp};
use reqwest::{Method, Response};
use serde_json::Value;
use stack::{Redis, until};
use stamp::{LogStore, RunId, Stage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn check_refused(response: Response, status: u16, error: &str) {
    assert_eq!(response.status(), status);
    let body: Value = response.json().await.unwrap();
    let told = body["error"].as_str().unwrap();
    assert!(told.contains(error), "{told:?} does not tell {error:?}");
}

#[tokio::test]
async fn an_accepted_body_is_on_the_queue_unchanged_and_stamped_in_the_order_of_its_way() {
    let app = TestApp::start("").await;
    let body = br#" {"data":"n\u00e9ws", "id" :12000,"x":[1,{"y":null}]}"#;
    assert_eq!(app.post(body.as_slice()).await.status(), 202);
    assert_eq!(app.queue().await, [body.to_vec()]);
    let log = app.log().await;
    let _redis = app.stop().await;
    let mut times = Vec::new();
    for stage in [Stage::APISERVER, Stage::ENQUEUE, Stage::ENQUEUED] {
        let mut stamps = Vec::new();
        log.entries(&RunId::adhoc(), &stage, |entry| stamps.push(stamp::Stamp::parse(entry).unwrap())).await.unwrap();
        let ids: Vec<u64> = stamps.iter().map(|stamp| stamp.id).collect();
        assert_eq!(ids, [12000], "{stage}");
        times.push((stamps[0].event_us(), i64::from(stamps[0].err_us.unwrap())));
    }
    for pair in times.windows(2) {
        assert!(pair[0].0 <= pair[1].0 + pair[0].1 + pair[1].1, "no stage before the one ahead of it: {times:?}");
    }
}

#[tokio::test]
async fn messages_leave_the_queue_in_the_order_of_their_answers() {
    let app = TestApp::start("").await;
    for id in 0..50 {
        assert_eq!(app.post(format!("{{\"id\":{id}}}")).await.status(), 202);
    }
    let expected: Vec<Vec<u8>> = (0..50).rev().map(|id| format!("{{\"id\":{id}}}").into_bytes()).collect();
    assert_eq!(app.queue().await, expected);
}

#[tokio::test]
async fn what_is_no_envelope_is_refused_with_the_fault() {
    let app = TestApp::start("").await;
    check_refused(app.post("{\"id\":1").await, 400, "no JSON object").await;
    check_refused(app.post("").await, 400, "no JSON object").await;
    check_refused(app.post("[12000]").await, 400, "no JSON object").await;
    check_refused(app.post("{\"data\":\"news\"}").await, 400, "has no id").await;
    check_refused(app.post("{\"id\":9007199254740992}").await, 400, "at most 9007199254740991").await;
    check_refused(app.post("{\"id\":-1}").await, 400, "unsigned integer").await;
    check_refused(app.post("{\"id\":\"1\"}").await, 400, "unsigned integer").await;
    check_refused(app.post("{\"id\":1,\"run\":\"a:b\"}").await, 400, "run \"a:b\" is invalid").await;
    assert!(app.queue().await.is_empty());
}

#[tokio::test]
async fn a_large_body_is_refused_with_and_without_its_length_announced() {
    let app = TestApp::start("--max-body 1000").await;
    let large = |bytes: usize| format!("{{\"id\":1,\"data\":\"{}\"}}", "x".repeat(bytes - 18));
    assert_eq!(app.post(large(1000)).await.status(), 202);
    check_refused(app.post(large(1001)).await, 413, "larger than 1000 bytes").await;
    let mut stream = tokio::net::TcpStream::connect(app.api.trim_start_matches("http://")).await.unwrap();
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n",
        large(1001)
    );
    stream.write_all(chunked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(app.queue().await.len(), 1);
}

#[tokio::test]
async fn only_post_is_a_message() {
    let app = TestApp::start("").await;
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let response = app.http.request(method, format!("{}/any/path", app.api)).send().await.unwrap();
        assert_eq!(response.headers()["allow"], "POST");
        check_refused(response, 405, "send a message with POST").await;
    }
}

#[tokio::test]
async fn while_redis_is_away_nothing_is_accepted_and_readiness_tells() {
    let mut app = TestApp::start("").await;
    let ready = async |app: &TestApp| reqwest::get(format!("{}/readyz", app.api)).await.unwrap().status().as_u16();
    assert_eq!(ready(&app).await, 200);
    app.redis.process.kill();
    let response = app.post("{\"id\":100}").await;
    assert_eq!(response.headers()["retry-after"], "1");
    check_refused(response, 503, "redis is away").await;
    until(async || ready(&app).await == 503).await;
    assert_eq!(reqwest::get(format!("{}/healthz", app.api)).await.unwrap().status(), 200);
    app.redis.restart().await.unwrap();
    until(async || ready(&app).await == 200).await;
    assert_eq!(app.post("{\"id\":200}").await.status(), 202);
    assert_eq!(app.queue().await, [b"{\"id\":200}".to_vec()]);
}

#[tokio::test]
async fn a_frozen_redis_is_away_too() {
    let app = TestApp::start("").await;
    app.redis.process.signal(rustix::process::Signal::STOP);
    check_refused(app.post("{\"id\":100}").await, 503, "redis is away").await;
    app.redis.process.signal(rustix::process::Signal::CONT);
    until(async || app.post("{\"id\":200}").await.status() == 202).await;
}

#[tokio::test]
async fn many_at_once_are_all_accepted_and_all_there() {
    let app = TestApp::start("").await;
    let posts: Vec<_> = (0..500)
        .map(|id| {
            let request = app.http.post(&app.api).body(format!("{{\"id\":{id}}}"));
            tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
        })
        .collect();
    for post in posts {
        assert_eq!(post.await.unwrap(), 202);
    }
    let mut queue = app.queue().await;
    queue.sort();
    queue.dedup();
    assert_eq!(queue.len(), 500);
}

#[tokio::test]
async fn what_redis_refuses_is_told_in_kind() {
    let app = TestApp::start("").await;
    let ask = async |line: &str| app.query::<redis::Value>(line).await;
    for (begin, end, told) in [
        (format!("SET {QUEUE} x"), format!("DEL {QUEUE}"), "redis holds something else under this key (WRONGTYPE)"),
        ("CONFIG SET maxmemory 1".into(), "CONFIG SET maxmemory 0".into(), "redis is out of memory (OOM)"),
        (
            "REPLICAOF 127.0.0.1 1".into(),
            "REPLICAOF NO ONE".into(),
            "redis is a read-only replica (READONLY): the message was not accepted; give the address of its master",
        ),
        (
            "CONFIG SET min-replicas-to-write 1".into(),
            "CONFIG SET min-replicas-to-write 0".into(),
            "redis has too few replicas in sync (NOREPLICAS)",
        ),
        (
            "ACL SETUSER default -lpush".into(),
            "ACL SETUSER default +@all".into(),
            "redis denies this user the command or the key (NOPERM)",
        ),
    ] {
        ask(&begin).await;
        check_refused(app.post("{\"id\":1}").await, 503, told).await;
        // And again, as the connection may have been given up.
        until(async || app.post("{\"id\":1}").await.text().await.unwrap().contains(told)).await;
        ask(&end).await;
        until(async || app.post("{\"id\":2}").await.status() == 202).await;
    }
}

#[tokio::test]
async fn a_redis_that_hands_over_to_another_is_left_for_it() {
    let (old, new) = (Redis::start().await.unwrap(), Redis::start().await.unwrap());
    let place = |redis: &Redis| redis.url().trim_start_matches("redis://").to_owned();
    let (moved, towards) = tokio::sync::watch::channel(place(&old));
    // As a virtual address: new connections go where it points, old ones stay.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let place = towards.borrow().clone();
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(place).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    let app = TestApp::open(old, &format!("--redis {address}"), |_| {}).await;
    app.ready().await;
    assert_eq!(app.post("{\"id\":100}").await.status(), 202);
    let (host, port) = place(&new).split_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    let () = app.query(&format!("REPLICAOF {host} {port}")).await;
    moved.send(place(&new)).unwrap();
    until(async || app.post("{\"id\":200}").await.status() == 202).await;
    // The stamps go there, too.
    let log = LogStore::connect(&new.url().parse().unwrap()).await.unwrap();
    until(async || log.counts(&RunId::adhoc()).await.unwrap().get("enqueue") >= 2).await;
}
