//! Arrivals in the log store: exact across processes and restarts, and there before the broker gets its acknowledgement.

use crate::app::Servers;
use rustix::process::Signal;
use service::mqtt::QoS;
use stamp::MsgId;

const RECORDED: [&str; 2] = ["--arrivals", "log-store"];

async fn arrived(servers: &Servers, ids: impl IntoIterator<Item = u64>) -> Vec<bool> {
    let ids = ids.into_iter().map(|id| MsgId::new(id).unwrap());
    servers.log().await.has_arrived(&"r".parse().unwrap(), ids).await.unwrap()
}

#[tokio::test]
async fn a_duplicate_is_known_whichever_process_received_the_first() {
    let servers = Servers::start().await;
    let (one, other) = (servers.app(&RECORDED).await, servers.app(&RECORDED).await);
    // More than one key holds, and more than one round trip asks for.
    let ids = || (0..1200).map(|n| n * 7);
    servers.sender().await.send_ids(QoS::AtMostOnce, ids()).await;
    servers.counted("r", "mqttclient", 2400).await;
    servers.counted("r", "duplicates", 1200).await;
    one.stop().await;
    other.stop().await;
    let restarted = servers.app(&RECORDED).await;
    servers.sender().await.send_ids(QoS::AtLeastOnce, [7, 7, MsgId::MAX]).await;
    servers.counted("r", "mqttclient", 2403).await;
    servers.counted("r", "duplicates", 1202).await;
    restarted.stop().await;
    assert_eq!(arrived(&servers, ids()).await, vec![true; 1200]);
    assert_eq!(
        arrived(&servers, [0, 1, 7, 8, 8393, 8400, MsgId::MAX - 1, MsgId::MAX]).await,
        [true, false, true, false, true, false, false, true]
    );
}

#[tokio::test]
async fn what_arrives_while_the_log_store_is_away_is_recorded_once_it_is_back() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut servers = Servers::start().await;
        let app = servers.app(&RECORDED).await;
        let mut sender = servers.sender().await;
        servers.redis.process.kill();
        sender.send_ids(qos, 0..10).await;
        app.misses("log store").await;
        servers.redis.restart().await.unwrap();
        app.readiness.ready().await;
        assert_eq!(app.metrics.reconnects("redis").get(), 1);
        sender.send_ids(qos, [10]).await;
        servers.counted("r", "mqttclient", 11).await;
        assert_eq!(servers.count("r", "duplicates").await, 0);
        assert_eq!(arrived(&servers, 0..12).await, [vec![true; 11], vec![false]].concat());
        app.stop().await;
    }
}

#[tokio::test]
async fn the_broker_gets_no_acknowledgement_before_the_arrival_is_recorded() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut servers = Servers::start().await;
        let args = [&RECORDED[..], &["--session", "persistent", "--client-id", "phone"]].concat();
        let app = servers.app(&args).await;
        let mut sender = servers.sender().await;
        servers.redis.process.kill();
        sender.send_ids(qos, 0..10).await;
        app.misses("log store").await;
        // What was received and not recorded ends with the process, and the broker must have it still.
        app.crash().await;
        servers.redis.restart().await.unwrap();
        let app = servers.app(&args).await;
        servers.counted("r", "mqttclient", 10).await;
        assert_eq!(servers.count("r", "duplicates").await, 0);
        assert_eq!(arrived(&servers, 0..10).await, [true; 10]);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_key_of_the_wrong_type_stops_nothing() {
    let servers = Servers::start().await;
    let app = servers.app(&RECORDED).await;
    let () = servers.redis.query("RPUSH trace:r:arrived:0 x").await.unwrap();
    servers.sender().await.send_ids(QoS::AtLeastOnce, [1, 5000]).await;
    servers.counted("r", "mqttclient", 2).await;
    assert_eq!(arrived(&servers, [5000]).await, [true]);
    app.stop().await;
}

#[tokio::test]
async fn a_recording_whose_answer_was_lost_makes_no_duplicates() {
    let servers = Servers::start().await;
    let app = servers.app(&RECORDED).await;
    let mut sender = servers.sender().await;
    // From now on Redis knows the script: of an unknown one, it would take nothing at all.
    sender.send_ids(QoS::AtLeastOnce, [0]).await;
    servers.counted("r", "mqttclient", 1).await;
    servers.redis.process.signal(Signal::STOP);
    sender.send_ids(QoS::AtLeastOnce, 1..10).await;
    // The first attempt has been given up, but lies in the socket: Redis takes it as soon as it wakes.
    app.misses("log store").await;
    servers.redis.process.signal(Signal::CONT);
    servers.counted("r", "mqttclient", 10).await;
    assert_eq!(servers.count("r", "duplicates").await, 0);
    app.stop().await;
}
