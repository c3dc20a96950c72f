//! The connection to the broker: subscribes, acknowledges, stamps.

use crate::MqttclientArgs;
use crate::arrivals::Arrivals;
use rumqttc::QoS;
use service::mqtt::{self, Broker, Connection, MqttError, MqttWriter, Packet, Publish, Session};
use service::{Backoff, Garbage, Part};
use stamp::{CounterHandle, Envelope, Stage, StageHandle, Tracer, clock};
use std::collections::HashSet;
use std::time::Instant;
use tokio::time::{interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub(crate) struct Subscriber {
    broker: Broker,
    topic: String,
    qos: QoS,
    mqtt: Part,
    tracer: Tracer,
    stage: StageHandle,
    duplicates: CounterHandle,
    garbage: Garbage,
    arrivals: Arrivals,
    /// QoS 2 packets received and not yet released: the broker may send them again until then.
    unreleased: HashSet<u16>,
}

impl Subscriber {
    pub(crate) fn new(args: &MqttclientArgs, broker: Broker, tracer: Tracer, mqtt: Part) -> Self {
        Self {
            broker,
            topic: args.topic.clone(),
            qos: args.qos,
            mqtt,
            stage: tracer.stage(&Stage::MQTTCLIENT),
            duplicates: tracer.counter("duplicates"),
            garbage: Garbage::new("what the broker sends", &tracer),
            tracer,
            arrivals: Arrivals::default(),
            unreleased: HashSet::new(),
        }
    }

    /// Receives until the shutdown.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let session = Session { client_id: mqtt::client_id("mqttclient"), persistent: false };
        let mut backoff = Backoff::default();
        while !shutdown.is_cancelled() {
            let ended = tokio::select! {
                connected = mqtt::connect(&self.broker, &session) => match connected {
                    Ok(connection) => {
                        let ended = self.session(connection, &mut backoff, &shutdown).await;
                        self.mqtt.set(false);
                        ended
                    }
                    Err(error) => Err(error),
                },
                () = shutdown.cancelled() => return,
            };
            match ended {
                Ok(()) => return,
                Err(error) if !backoff.is_waiting() => warn!("nothing is received: {error}"),
                Err(_) => {}
            }
            tokio::select! { () = sleep(backoff.next_delay()) => {}, () = shutdown.cancelled() => {} }
        }
    }

    /// One connection's life; `Ok` at the shutdown.
    async fn session(
        &mut self,
        connection: Connection,
        backoff: &mut Backoff,
        shutdown: &CancellationToken,
    ) -> Result<(), MqttError> {
        let Connection { mut reader, mut writer, ping_period, .. } = connection;
        self.unreleased.clear();
        writer.subscribe(1, &self.topic, self.qos)?;
        writer.flush().await?;
        let mut ping = interval_at((clock::now() + ping_period).into(), ping_period);
        let (mut awaits_pong, mut leaving) = (false, false);
        loop {
            tokio::select! {
                filled = reader.fill() => {
                    filled?;
                    // All that one read brought has arrived by now.
                    let now = clock::now();
                    while let Some(packet) = reader.next_packet()? {
                        match packet {
                            Packet::SubAck { granted, .. } => self.subscribed(&granted, backoff),
                            Packet::PingResp => awaits_pong = false,
                            Packet::UnsubAck { .. } => {
                                writer.disconnect();
                                return writer.flush().await;
                            }
                            packet => self.take(packet, now, &mut writer)?,
                        }
                    }
                    writer.flush().await?;
                }
                _ = ping.tick() => {
                    if awaits_pong {
                        return Err(MqttError::Silent);
                    }
                    awaits_pong = true;
                    writer.ping();
                    writer.flush().await?;
                }
                // Whatever the broker sent before it answers this is still received.
                () = shutdown.cancelled(), if !leaving => {
                    leaving = true;
                    writer.unsubscribe(2, &self.topic)?;
                    writer.flush().await?;
                }
            }
        }
    }

    fn subscribed(&self, granted: &[Result<QoS, u8>], backoff: &mut Backoff) {
        if granted.iter().any(Result::is_err) {
            error!(
                "mqtt broker at {} refused the subscription to {:?}: check its access rules",
                self.broker, self.topic
            );
            return;
        }
        if backoff.reset() {
            info!("mqtt broker at {} is there", self.broker);
        }
        self.mqtt.set(true);
    }

    fn take(&mut self, packet: Packet, now: Instant, writer: &mut MqttWriter) -> Result<(), MqttError> {
        match packet {
            Packet::Publish(publish) => {
                let packet_id = publish.packet_id;
                match publish.qos {
                    QoS::AtMostOnce => self.arrived(&publish, now),
                    QoS::AtLeastOnce => {
                        self.arrived(&publish, now);
                        writer.puback(packet_id);
                    }
                    QoS::ExactlyOnce => {
                        if self.unreleased.insert(packet_id) {
                            self.arrived(&publish, now);
                        }
                        writer.pubrec(packet_id);
                    }
                }
                Ok(())
            }
            Packet::PubRel { packet_id } => {
                self.unreleased.remove(&packet_id);
                writer.pubcomp(packet_id);
                Ok(())
            }
            Packet::Disconnect { reason } => Err(MqttError::Disconnected { code: reason }),
            packet => Err(MqttError::OutOfTurn(Box::new(packet))),
        }
    }

    fn arrived(&mut self, publish: &Publish, now: Instant) {
        match Envelope::read(&publish.payload) {
            Ok(envelope) => {
                let run = self.tracer.run(envelope.run());
                // Counted before the arrival itself, so that arrivals less duplicates never reads too high.
                if !self.arrivals.is_first(run.id(), envelope.id) {
                    run.count(self.duplicates, 1);
                }
                run.stamp_at(self.stage, envelope.id, now);
            }
            Err(error) => self.garbage.found(&error),
        }
    }
}
