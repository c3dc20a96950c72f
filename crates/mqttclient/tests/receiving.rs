//! The subscriber on a real Mosquitto.
#![allow(clippy::unwrap_used)]

use mqttclient::MqttclientArgs;
use rumqttc::QoS;
use service::mqtt::{self, Broker, Connection, MqttReader, MqttWriter, Packet, Session, Version};
use service::{Readiness, Shell};
use stack::{Mosquitto, Redis};
use stamp::{LogStore, RunId, Stage};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

struct TestApp {
    _redis: Redis,
    mosquitto: Mosquitto,
    log: LogStore,
    readiness: Readiness,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

struct Sender {
    reader: MqttReader,
    writer: MqttWriter,
    packet_id: u16,
}

impl TestApp {
    async fn start() -> Self {
        let (redis, mosquitto) = tokio::try_join!(Redis::start(), Mosquitto::start()).unwrap();
        let (redis_url, mqtt_url) = (redis.url(), mosquitto.url());
        let args: MqttclientArgs = service::parse(["--redis", &redis_url, "--mqtt", &mqtt_url]).unwrap();
        let shutdown = CancellationToken::new();
        let shell = Shell::open_with("mqttclient", &args.service, shutdown.clone()).await.unwrap();
        let readiness = shell.readiness.clone();
        let running = tokio::spawn(mqttclient::run(args, shell));
        timeout(PATIENCE, readiness.ready()).await.unwrap();
        let log = LogStore::connect(&redis_url.parse().unwrap()).await.unwrap();
        Self { _redis: redis, mosquitto, log, readiness, shutdown, running }
    }

    async fn sender(&self) -> Sender {
        let broker = Broker::new(self.mosquitto.url().parse().unwrap(), Version::V3, None).unwrap();
        let session = Session { client_id: mqtt::client_id("test"), persistent: false };
        let Connection { reader, writer, .. } = mqtt::connect(&broker, &session).await.unwrap();
        Sender { reader, writer, packet_id: 0 }
    }

    async fn count(&self, run: &str, name: &str) -> u64 {
        self.log.counts(&run.parse().unwrap()).await.unwrap().get(name)
    }

    async fn counted(&self, run: &str, name: &str, expected: u64) {
        let polling = async {
            while self.count(run, name).await < expected {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, polling).await.unwrap();
        assert_eq!(self.count(run, name).await, expected);
    }
}

impl Sender {
    /// Publishes and sees the exchange through to its end.
    async fn send(&mut self, qos: QoS, payload: &[u8]) {
        self.packet_id += 1;
        self.writer.publish("/channel", qos, self.packet_id, false, payload).unwrap();
        self.writer.flush().await.unwrap();
        if qos == QoS::AtMostOnce {
            return;
        }
        loop {
            match timeout(PATIENCE, self.reader.packet()).await.unwrap().unwrap() {
                Packet::PubAck { .. } | Packet::PubComp { .. } => return,
                Packet::PubRec { packet_id, .. } => {
                    self.writer.pubrel(packet_id);
                    self.writer.flush().await.unwrap();
                }
                packet => panic!("{packet:?}"),
            }
        }
    }
}

#[tokio::test]
async fn arrivals_are_counted_and_sampled_ones_stamped_at_each_quality_of_service() {
    let app = TestApp::start().await;
    let mut sender = app.sender().await;
    for (run, qos) in [("q0", QoS::AtMostOnce), ("q1", QoS::AtLeastOnce), ("q2", QoS::ExactlyOnce)] {
        for id in 1..=300 {
            sender.send(qos, format!("{{\"id\":{id},\"run\":\"{run}\"}}").as_bytes()).await;
        }
        app.counted(run, "mqttclient", 300).await;
        let mut ids = Vec::new();
        let take = |entry: &[u8]| ids.push(stamp::Stamp::parse(entry).unwrap().id);
        app.log.entries(&run.parse().unwrap(), &Stage::MQTTCLIENT, take).await.unwrap();
        assert_eq!(ids, [100, 200, 300], "{run}");
        assert_eq!(app.count(run, "duplicates").await, 0);
    }
}

#[tokio::test]
async fn garbage_on_the_topic_is_counted_and_never_fatal() {
    let app = TestApp::start().await;
    let mut sender = app.sender().await;
    for garbage in
        [b"garbage".as_slice(), b"", b"\xff\xfe\x00", b"[]", b"{\"id\":\"x\"}", b"{\"id\":1,\"run\":\"a:b\"}"]
    {
        sender.send(QoS::AtMostOnce, garbage).await;
    }
    sender.send(QoS::AtMostOnce, b"{\"id\":100}").await;
    app.counted(RunId::ADHOC, "mqttclient", 1).await;
    app.counted(RunId::ADHOC, "garbage", 6).await;
}

#[tokio::test]
async fn duplicates_are_counted_exactly_sampled_or_not() {
    let app = TestApp::start().await;
    let mut sender = app.sender().await;
    for id in [1, 2, 3, 2, 1, 100, 100, 100] {
        sender.send(QoS::AtMostOnce, format!("{{\"id\":{id},\"run\":\"r\"}}").as_bytes()).await;
    }
    app.counted("r", "mqttclient", 8).await;
    app.counted("r", "duplicates", 4).await;
}

#[tokio::test]
async fn a_broker_that_comes_back_is_subscribed_to_again() {
    let mut app = TestApp::start().await;
    app.mosquitto.process.kill();
    let gone = async {
        while app.readiness.waiting_for().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    app.mosquitto.restart().await.unwrap();
    timeout(PATIENCE, app.readiness.ready()).await.unwrap();
    app.sender().await.send(QoS::AtLeastOnce, b"{\"id\":1,\"run\":\"r\"}").await;
    app.counted("r", "mqttclient", 1).await;
}

#[tokio::test]
async fn a_shutdown_receives_what_the_broker_already_has() {
    let app = TestApp::start().await;
    let mut sender = app.sender().await;
    for id in 0..2000 {
        sender.send(QoS::AtMostOnce, format!("{{\"id\":{id},\"run\":\"r\"}}").as_bytes()).await;
    }
    // The broker has taken all of them once it has answered this.
    sender.send(QoS::AtLeastOnce, b"{\"id\":2000,\"run\":\"r\"}").await;
    app.shutdown.cancel();
    timeout(PATIENCE, app.running).await.unwrap().unwrap().unwrap();
    assert_eq!(app.log.counts(&"r".parse().unwrap()).await.unwrap().get("mqttclient"), 2001);
}
