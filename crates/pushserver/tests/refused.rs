//! Messages that the broker does not take: they are set aside, all others arrive.
#![allow(clippy::unwrap_used)]

mod app;

use app::{Subscriber, TestApp, messages};
use rumqttc::QoS;
use stack::{Mosquitto, MosquittoOptions, Redis, Sandbox, Signal, until};
use std::sync::Arc;

const ASIDE: &str = "stampede:queue:unsendable";

async fn start(line: &str, more: &[&str]) -> TestApp {
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let options = MosquittoOptions { lines: vec![line.to_owned()], ..MosquittoOptions::default() };
    let (redis, mosquitto) = tokio::try_join!(Redis::start(), Mosquitto::start_as(&sandbox, options)).unwrap();
    TestApp::start_between(redis, mosquitto, more).await
}

fn large(id: u64, size: usize) -> Vec<u8> {
    format!("{{\"id\":{id},\"run\":\"r\",\"data\":\"{}\"}}", "x".repeat(size)).into_bytes()
}

/// What is set aside, the first one first.
async fn aside(redis: &Redis) -> Vec<Vec<u8>> {
    let mut aside: Vec<Vec<u8>> = redis.query(&format!("LRANGE {ASIDE} 0 -1")).await.unwrap();
    aside.reverse();
    aside
}

/// Connections that the broker has accepted from push servers, witnesses included.
fn connections(mosquitto: &Mosquitto) -> usize {
    mosquitto.process.log().lines().filter(|line| line.contains("as pushserver-")).count()
}

#[tokio::test]
async fn a_message_that_an_mqtt_5_broker_refuses_is_set_aside_without_a_reconnect() {
    for (qos, delivery) in [("1", "at-least-once"), ("2", "at-least-once"), ("1", "at-most-once")] {
        // Without a limit for what is queued, this broker ends the connection after each refusal.
        let app = start(
            "message_size_limit 1000\nmax_queued_messages 100000",
            &["--mqtt-version", "5", "--delivery", delivery, "--qos", qos, "--publishers", "1"],
        )
        .await;
        let mut subscriber = app.subscribe(QoS::AtLeastOnce).await;
        let sent = [messages(0..10), vec![large(10, 5000)], messages(11..20)].concat();
        app.enqueue(&sent).await;
        let small = [messages(0..10), messages(11..20)].concat();
        assert_eq!(subscriber.receive_all(&small).await, 19, "{qos} {delivery}");
        until(async || aside(&app.redis).await.len() == 1).await;
        assert_eq!(aside(&app.redis).await, [large(10, 5000)], "{qos} {delivery}");
        assert_eq!(connections(&app.mosquitto), 1, "{qos} {delivery}");
        let (redis, _mosquitto) = app.stop().await;
        assert_eq!(redis.query::<u64>("EXISTS stampede:queue").await.unwrap(), 0);
    }
}

#[tokio::test]
async fn what_exceeds_the_limit_that_an_mqtt_5_broker_tells_is_not_sent() {
    for qos in ["0", "1", "2"] {
        let app = start("max_packet_size 20000", &["--mqtt-version", "5", "--qos", qos, "--publishers", "1"]).await;
        let mut subscriber = app.subscribe(QoS::AtMostOnce).await;
        app.enqueue(&[vec![large(1, 30_000)], messages(10..20)].concat()).await;
        assert_eq!(subscriber.receive_all(&messages(10..20)).await, 10, "{qos}");
        until(async || aside(&app.redis).await == [large(1, 30_000)]).await;
        assert_eq!(connections(&app.mosquitto), 1, "{qos}");
    }
}

#[tokio::test]
async fn a_message_at_which_the_broker_closes_the_connection_is_found_and_set_aside() {
    for (qos, more) in [
        ("0", &["--publishers", "1"][..]),
        ("0", &[]),
        ("1", &[]),
        ("2", &[]),
        ("1", &["--delivery", "at-least-once", "--publishers", "4"]),
        ("1", &["--delivery", "at-least-once", "--handoff", "inline", "--queue", "stream"]),
    ] {
        let app = start("max_packet_size 20000", &[&["--qos", qos], more].concat()).await;
        let kind = if more.contains(&"stream") { "stream" } else { "list" };
        let mut subscriber = app.subscribe(QoS::AtMostOnce).await;
        let small = [messages(10..40), messages(50..80)].concat();
        let sent =
            [vec![large(1, 30_000)], messages(10..40), vec![large(2, 40_000), large(3, 25_000)], messages(50..80)];
        app::enqueue(&app.redis, kind, &sent.concat()).await;
        subscriber.receive_all(&small).await;
        until(async || aside(&app.redis).await.len() == 3).await;
        let mut set_aside = aside(&app.redis).await;
        set_aside.sort();
        assert_eq!(set_aside, [large(1, 30_000), large(2, 40_000), large(3, 25_000)], "{qos} {more:?}");
    }
}

#[tokio::test]
async fn a_broker_that_is_killed_again_and_again_makes_no_message_suspect() {
    let mut app = start("", &["--delivery", "at-least-once", "--mqtt-version", "5"]).await;
    // Whoever subscribes to a broker that forgets is late: with MQTT 5, what reaches nobody is kept.
    let sent = messages(0..400);
    for part in sent.chunks(40) {
        app.mosquitto.process.signal(Signal::STOP);
        app.enqueue(part).await;
        until(async || app.backlog().await == 0).await;
        app.mosquitto.restart().await.unwrap();
    }
    let mut subscriber = Subscriber::at(&app.mosquitto, QoS::AtLeastOnce).await;
    subscriber.receive_all(&sent).await;
    assert_eq!(aside(&app.redis).await, Vec::<Vec<u8>>::new());
}
