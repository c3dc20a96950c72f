//! The push server between a real Redis and a real Mosquitto.
#![allow(clippy::unwrap_used)]

mod app;

use app::{PATIENCE, TestApp, messages};
use rumqttc::QoS;
use stack::until;
use stamp::Stage;
use std::collections::BTreeSet;
use tokio::time::timeout;

#[tokio::test]
async fn every_message_is_published_unchanged_at_each_quality_of_service() {
    for (name, qos) in [("0", QoS::AtMostOnce), ("1", QoS::AtLeastOnce), ("2", QoS::ExactlyOnce)] {
        let app = TestApp::start(&["--qos", name]).await;
        let mut subscriber = app.subscribe(qos).await;
        let sent = messages(0..2000);
        app.enqueue(&sent).await;
        let mut received = BTreeSet::new();
        for _ in &sent {
            assert!(received.insert(subscriber.receive().await), "QoS {name}: twice");
        }
        assert_eq!(received, sent.into_iter().collect(), "QoS {name}");
        let log = app.log().await;
        let _servers = app.stop().await;
        let counts = log.counts(&"r".parse().unwrap()).await.unwrap();
        assert_eq!((counts.get("pushserver"), counts.get("publish")), (2000, 2000), "QoS {name}");
        for stage in [Stage::PUSHSERVER, Stage::PUBLISH] {
            let mut stamps = 0;
            log.entries(&"r".parse().unwrap(), &stage, |_| stamps += 1).await.unwrap();
            assert_eq!(stamps, 2000, "QoS {name}, {stage}");
        }
    }
}

#[tokio::test]
async fn one_worker_keeps_the_order() {
    let app = TestApp::start(&["--workers", "1", "--batch", "7"]).await;
    let mut subscriber = app.subscribe(QoS::AtMostOnce).await;
    let sent = messages(0..500);
    app.enqueue(&sent).await;
    for message in sent {
        assert_eq!(subscriber.receive().await, message);
    }
}

#[tokio::test]
async fn several_connections_to_the_broker_share_the_work() {
    let app = TestApp::start(&["--workers", "3", "--publishers", "2", "--batch", "1"]).await;
    let connected = |log: String| log.lines().filter(|line| line.contains("as pushserver-")).count();
    until(async || connected(app.mosquitto.process.log()) >= 2).await;
    let mut subscriber = app.subscribe(QoS::AtMostOnce).await;
    let sent = messages(0..500);
    app.enqueue(&sent).await;
    assert_eq!(subscriber.receive_all(&sent).await, sent.len());
    // All messages have come, so that no worker connects any more.
    assert_eq!(connected(app.mosquitto.process.log()), 2);
}

#[tokio::test]
async fn garbage_in_the_queue_is_counted_and_does_not_stop_the_rest() {
    let app = TestApp::start(&[]).await;
    let mut subscriber = app.subscribe(QoS::AtMostOnce).await;
    let sent = [
        b"garbage".to_vec(),
        vec![0, 255, 254],
        Vec::new(),
        b"{\"id\":-1}".to_vec(),
        b"{\"id\":7,\"run\":\"r\"}".to_vec(),
    ];
    app.enqueue(&sent).await;
    let mut received = BTreeSet::new();
    for _ in &sent {
        received.insert(subscriber.receive().await);
    }
    assert_eq!(received, sent.into_iter().collect());
    let log = app.log().await;
    let _servers = app.stop().await;
    assert_eq!(log.counts(&"adhoc".parse().unwrap()).await.unwrap().get("garbage"), 4);
    assert_eq!(log.counts(&"r".parse().unwrap()).await.unwrap().get("publish"), 1);
}

#[tokio::test]
async fn a_queue_of_the_wrong_type_is_waited_out() {
    let app = TestApp::start(&[]).await;
    let () = app.redis.query("SET stampede:queue x").await.unwrap();
    until(async || !app.readiness.waiting_for().is_empty()).await;
    let () = app.redis.query("DEL stampede:queue").await.unwrap();
    let mut subscriber = app.subscribe(QoS::AtMostOnce).await;
    app.enqueue(&messages(0..1)).await;
    assert_eq!(subscriber.receive().await, messages(0..1)[0]);
}

#[tokio::test]
async fn large_messages_pass() {
    let app = TestApp::start(&[]).await;
    let mut subscriber = app.subscribe(QoS::AtMostOnce).await;
    let large = format!("{{\"id\":1,\"data\":\"{}\"}}", "x".repeat(3 << 20)).into_bytes();
    app.enqueue(std::slice::from_ref(&large)).await;
    assert_eq!(subscriber.receive().await, large);
}

#[tokio::test]
async fn a_shutdown_publishes_what_was_popped() {
    let app = TestApp::start(&[]).await;
    let mut subscriber = app.subscribe(QoS::AtMostOnce).await;
    app.enqueue(&messages(0..5000)).await;
    subscriber.receive().await;
    let log = app.log().await;
    let (redis, _mosquitto) = app.stop().await;
    let counts = log.counts(&"r".parse().unwrap()).await.unwrap();
    let left = log.length(stamp::keys::DEFAULT_QUEUE).await.unwrap();
    assert_eq!(counts.get("pushserver"), counts.get("publish"));
    assert_eq!(counts.get("publish") + left, 5000);
    drop(redis);
}

#[tokio::test]
async fn a_broker_that_comes_back_gets_what_waited() {
    let mut app = TestApp::start(&["--qos", "1"]).await;
    app.mosquitto.process.kill();
    until(async || app.readiness.waiting_for() == ["mqtt"]).await;
    // More than the two halves hold between them: the rest has to wait in Redis.
    app.enqueue(&messages(0..20_000)).await;
    app.mosquitto.restart().await.unwrap();
    let mut subscriber = app.subscribe(QoS::AtLeastOnce).await;
    let mut received = BTreeSet::new();
    // The subscription and the push server race for the broker: what came first went to nobody.
    received.insert(subscriber.receive().await);
    let log = app.log().await;
    let published = async {
        while log.counts(&"r".parse().unwrap()).await.unwrap().get("publish") < 20_000 {
            received.insert(subscriber.receive().await);
        }
    };
    timeout(PATIENCE, published).await.unwrap();
    assert_eq!(app.backlog().await, 0);
}

#[tokio::test]
async fn a_redis_that_comes_back_is_popped_again() {
    let mut app = TestApp::start(&[]).await;
    let mut subscriber = app.subscribe(QoS::AtMostOnce).await;
    app.redis.process.kill();
    app.redis.restart().await.unwrap();
    app.enqueue(&messages(0..1)).await;
    assert_eq!(subscriber.receive().await, messages(0..1)[0]);
}
