//! What the tests of the push server share: a real Redis and a real Mosquitto with the push server between them, and a subscriber.
// Each test file is a program of its own and uses what it needs.
#![allow(clippy::unwrap_used, dead_code)]

use pushserver::PushserverArgs;
use rumqttc::QoS;
use service::mqtt::{self, Broker, Connection, MqttReader, MqttWriter, Packet, Session, Version};
use service::{Readiness, Shell};
use stack::{Mosquitto, Redis};
use stamp::{LogStore, RedisUrl, Wait};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// For what is bound to come about.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct TestApp {
    pub(crate) redis: Redis,
    pub(crate) mosquitto: Mosquitto,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<anyhow::Result<()>>,
}

/// A subscriber that acknowledges what it gets.
pub(crate) struct Subscriber {
    pub(crate) reader: MqttReader,
    pub(crate) writer: MqttWriter,
}

impl TestApp {
    pub(crate) async fn start(more: &[&str]) -> Self {
        let (redis, mosquitto) = tokio::try_join!(Redis::start(), Mosquitto::start()).unwrap();
        Self::start_between(redis, mosquitto, more).await
    }

    pub(crate) async fn start_between(redis: Redis, mosquitto: Mosquitto, more: &[&str]) -> Self {
        let (redis_url, mqtt_url) = (redis.url(), mosquitto.url());
        let own = ["--redis", &redis_url, "--mqtt", &mqtt_url, "--every", "1"];
        let args: PushserverArgs = service::parse(own.iter().chain(more)).unwrap();
        let shutdown = CancellationToken::new();
        let shell = Shell::open_with("pushserver", &args.service, shutdown.clone()).await.unwrap();
        let readiness = shell.readiness.clone();
        let running = tokio::spawn(pushserver::run(args, shell));
        timeout(PATIENCE, readiness.ready()).await.unwrap();
        Self { redis, mosquitto, readiness, shutdown, running }
    }

    pub(crate) async fn subscribe(&self, qos: QoS) -> Subscriber {
        Subscriber::at(&self.mosquitto, qos).await
    }

    pub(crate) async fn enqueue(&self, messages: &[Vec<u8>]) {
        enqueue(&self.redis, "list", messages).await;
    }

    pub(crate) async fn backlog(&self) -> u64 {
        self.log().await.length(stamp::keys::DEFAULT_QUEUE).await.unwrap()
    }

    pub(crate) async fn log(&self) -> LogStore {
        LogStore::connect(&self.redis.url().parse().unwrap()).await.unwrap()
    }

    pub(crate) async fn stop(self) -> (Redis, Mosquitto) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.running).await.unwrap().unwrap().unwrap();
        (self.redis, self.mosquitto)
    }
}

impl Subscriber {
    pub(crate) async fn at(mosquitto: &Mosquitto, qos: QoS) -> Self {
        let broker = Broker::new(mosquitto.url().parse().unwrap(), Version::V3, None).unwrap();
        let session = Session { client_id: mqtt::client_id("test"), persistent: false };
        let Connection { mut reader, mut writer, .. } = mqtt::connect(&broker, &session).await.unwrap();
        writer.subscribe(1, "/channel", qos).unwrap();
        writer.flush().await.unwrap();
        assert!(matches!(reader.packet().await.unwrap(), Packet::SubAck { .. }));
        Self { reader, writer }
    }

    /// Receives until every one of these has come; more often than once is fine.
    pub(crate) async fn receive_all(&mut self, expected: &[Vec<u8>]) -> usize {
        let mut missing: BTreeSet<&Vec<u8>> = expected.iter().collect();
        let mut received = 0;
        while !missing.is_empty() {
            let message = self.receive().await;
            missing.remove(&message);
            received += 1;
        }
        received
    }

    pub(crate) async fn receive(&mut self) -> Vec<u8> {
        timeout(PATIENCE, async {
            loop {
                match self.reader.packet().await.unwrap() {
                    Packet::Publish(publish) => {
                        match publish.qos {
                            QoS::AtMostOnce => {}
                            QoS::AtLeastOnce => self.writer.puback(publish.packet_id),
                            QoS::ExactlyOnce => self.writer.pubrec(publish.packet_id),
                        }
                        self.writer.flush().await.unwrap();
                        return publish.payload.to_vec();
                    }
                    Packet::PubRel { packet_id } => {
                        self.writer.pubcomp(packet_id);
                        self.writer.flush().await.unwrap();
                    }
                    packet => panic!("{packet:?}"),
                }
            }
        })
        .await
        .unwrap()
    }
}

pub(crate) fn messages(ids: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    ids.map(|id| format!("{{\"id\":{id},\"run\":\"r\"}}").into_bytes()).collect()
}

/// Puts messages in the queue as the API server does.
pub(crate) async fn enqueue(redis: &Redis, kind: &str, messages: &[Vec<u8>]) {
    let mut connection = redis.url().parse::<RedisUrl>().unwrap().connect(Wait::BRIEFLY).await.unwrap();
    for messages in messages.chunks(1000) {
        let mut pipeline = redis::pipe();
        match kind {
            "list" => {
                pipeline.cmd("LPUSH").arg(stamp::keys::DEFAULT_QUEUE).arg(messages);
            }
            _ => messages.iter().for_each(|message| {
                pipeline.cmd("XADD").arg(stamp::keys::DEFAULT_QUEUE).arg("*").arg("body").arg(message);
            }),
        }
        let () = pipeline.exec_async(&mut connection).await.unwrap();
    }
}
