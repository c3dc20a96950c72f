//! What arrives is counted, stamped and acknowledged.

use crate::app::{PATIENCE, Servers};
use service::mqtt::QoS;
use stamp::{RunId, Stage};
use tokio::time::timeout;

#[tokio::test]
async fn arrivals_are_counted_and_sampled_ones_stamped_at_each_quality_of_service() {
    for version in ["3.1.1", "5"] {
        let servers = Servers::start().await;
        let app = servers.app(&["--mqtt-version", version]).await;
        let mut sender = servers.sender().await;
        for (run, qos) in [("q0", QoS::AtMostOnce), ("q1", QoS::AtLeastOnce), ("q2", QoS::ExactlyOnce)] {
            for id in 1..=300 {
                sender.send(qos, format!("{{\"id\":{id},\"run\":\"{run}\"}}").as_bytes()).await;
            }
            servers.counted(run, "mqttclient", 300).await;
            let mut ids = Vec::new();
            let take = |entry: &[u8]| ids.push(stamp::Stamp::parse(entry).unwrap().id);
            servers.log().await.entries(&run.parse().unwrap(), &Stage::MQTTCLIENT, take).await.unwrap();
            assert_eq!(ids, [100, 200, 300], "{run}");
            assert_eq!(servers.count(run, "duplicates").await, 0);
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn garbage_on_the_topic_is_counted_and_never_fatal() {
    let servers = Servers::start().await;
    let app = servers.app(&[]).await;
    let mut sender = servers.sender().await;
    for garbage in
        [b"garbage".as_slice(), b"", b"\xff\xfe\x00", b"[]", b"{\"id\":\"x\"}", b"{\"id\":1,\"run\":\"a:b\"}"]
    {
        sender.send(QoS::AtMostOnce, garbage).await;
    }
    sender.send(QoS::AtMostOnce, b"{\"id\":100}").await;
    servers.counted(RunId::ADHOC, "mqttclient", 1).await;
    servers.counted(RunId::ADHOC, "garbage", 6).await;
    app.stop().await;
}

#[tokio::test]
async fn duplicates_are_counted_exactly_sampled_or_not() {
    let servers = Servers::start().await;
    let app = servers.app(&[]).await;
    let mut sender = servers.sender().await;
    sender.send_ids(QoS::AtMostOnce, [1, 2, 3, 2, 1, 100, 100, 100]).await;
    servers.counted("r", "mqttclient", 8).await;
    servers.counted("r", "duplicates", 4).await;
    app.stop().await;
}

#[tokio::test]
async fn a_broker_that_comes_back_is_subscribed_to_again() {
    let mut servers = Servers::start().await;
    let app = servers.app(&[]).await;
    servers.mosquitto.process.kill();
    app.misses("mqtt").await;
    servers.mosquitto.restart().await.unwrap();
    timeout(PATIENCE, app.readiness.ready()).await.unwrap();
    assert_eq!(app.metrics.reconnects("mqtt").get(), 1);
    servers.sender().await.send(QoS::AtLeastOnce, b"{\"id\":1,\"run\":\"r\"}").await;
    servers.counted("r", "mqttclient", 1).await;
}

#[tokio::test]
async fn a_shutdown_receives_what_the_broker_already_has() {
    let servers = Servers::start().await;
    let app = servers.app(&[]).await;
    let mut sender = servers.sender().await;
    sender.send_ids(QoS::AtMostOnce, 0..2000).await;
    // The broker has taken all of them once it has answered this.
    sender.send_ids(QoS::AtLeastOnce, [2000]).await;
    app.stop().await;
    assert_eq!(servers.count("r", "mqttclient").await, 2001);
}
