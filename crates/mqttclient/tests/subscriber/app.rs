//! What the tests act with: the servers, subscribers on them, and a sender.

use mqttclient::MqttclientArgs;
use service::mqtt::{self, Broker, Connection, MqttReader, MqttWriter, Packet, QoS, Session, Version};
use service::{Metrics, Readiness, Shell};
use stack::{Mosquitto, Redis, until};
use stamp::LogStore;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Servers {
    pub(crate) redis: Redis,
    pub(crate) mosquitto: Mosquitto,
}

pub(crate) struct App {
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<anyhow::Result<()>>,
}

pub(crate) struct Sender {
    reader: MqttReader,
    writer: MqttWriter,
    packet_id: u16,
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let (redis, mosquitto) = tokio::try_join!(Redis::start(), Mosquitto::start()).unwrap();
        Self { redis, mosquitto }
    }

    /// Starts a subscriber and waits until it is ready.
    pub(crate) async fn app(&self, more: &[&str]) -> App {
        let (redis_url, mqtt_url) = (self.redis.url(), self.mosquitto.url());
        let own = ["--redis", &redis_url, "--mqtt", &mqtt_url];
        let args: MqttclientArgs = service::parse(own.iter().chain(more)).unwrap();
        let shutdown = CancellationToken::new();
        let shell = Shell::open_with("mqttclient", &args.service, shutdown.clone()).await.unwrap();
        let (metrics, readiness) = (shell.metrics.clone(), shell.readiness.clone());
        let running = tokio::spawn(mqttclient::run(args, shell));
        timeout(PATIENCE, readiness.ready()).await.unwrap();
        App { metrics, readiness, shutdown, running }
    }

    pub(crate) async fn sender(&self) -> Sender {
        let broker = Broker::new(self.mosquitto.url().parse().unwrap(), Version::V3, None).unwrap();
        let session = Session { client_id: mqtt::client_id("test"), persistent: false };
        let Connection { reader, writer, .. } = mqtt::connect(&broker, &session).await.unwrap();
        Sender { reader, writer, packet_id: 0 }
    }

    pub(crate) async fn log(&self) -> LogStore {
        LogStore::connect(&self.redis.url().parse().unwrap()).await.unwrap()
    }

    pub(crate) async fn count(&self, run: &str, name: &str) -> u64 {
        self.log().await.counts(&run.parse().unwrap()).await.unwrap().get(name)
    }

    pub(crate) async fn counted(&self, run: &str, name: &str, expected: u64) {
        until(async || self.count(run, name).await >= expected).await;
        assert_eq!(self.count(run, name).await, expected);
    }
}

impl App {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.running).await.unwrap().unwrap().unwrap();
    }

    /// Ends it as a crash would.
    pub(crate) async fn crash(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn misses(&self, part: &str) {
        until(async || self.readiness.waiting_for().contains(&part)).await;
    }
}

impl Sender {
    /// Publishes and sees the exchange through to its end.
    pub(crate) async fn send(&mut self, qos: QoS, payload: &[u8]) {
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

    /// Publishes messages of the run `r`.
    pub(crate) async fn send_ids(&mut self, qos: QoS, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            self.send(qos, format!("{{\"id\":{id},\"run\":\"r\"}}").as_bytes()).await;
        }
    }
}
