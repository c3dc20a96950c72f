//! The MQTT half: publishes whatever has been popped, many messages in one write.

use crate::outbox::Outbox;
use crate::{Message, PushserverArgs};
use rumqttc::QoS;
use service::mqtt::{self, Broker, Connection, MqttError, MqttWriter, Packet, Session};
use service::{Backoff, Part};
use stamp::{StageHandle, clock};
use tokio::sync::mpsc;
use tokio::time::{interval_at, sleep};
use tracing::{info, warn};

/// The most messages in one write.
const BATCH: usize = 256;

pub(crate) struct Publisher {
    broker: Broker,
    topic: String,
    qos: QoS,
    stage: StageHandle,
    mqtt: Part,
    outbox: Outbox,
    /// Taken from the channel, not yet handed to the socket.
    batch: Vec<Message>,
}

impl Publisher {
    pub(crate) fn new(args: &PushserverArgs, broker: Broker, stage: StageHandle, mqtt: Part) -> Self {
        let (topic, qos) = (args.topic.clone(), args.qos);
        Self { broker, topic, qos, stage, mqtt, outbox: Outbox::default(), batch: Vec::new() }
    }

    /// Publishes until the channel ends and everything is acknowledged.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let session = Session { client_id: mqtt::client_id("pushserver"), persistent: false };
        let mut backoff = Backoff::default();
        loop {
            let ended = match mqtt::connect(&self.broker, &session).await {
                Ok(connection) => {
                    if backoff.reset() {
                        info!("mqtt broker at {} is there", self.broker);
                    }
                    self.mqtt.set(true);
                    let ended = self.session(connection, &mut messages).await;
                    self.mqtt.set(false);
                    ended
                }
                Err(error) => Err(error),
            };
            match ended {
                Ok(()) => return,
                Err(error) if !backoff.is_waiting() => warn!("nothing is published: {error}"),
                Err(_) => {}
            }
            sleep(backoff.next_delay()).await;
        }
    }

    /// One connection's life; `Ok` when there is nothing left to do.
    async fn session(
        &mut self,
        connection: Connection,
        messages: &mut mpsc::Receiver<Message>,
    ) -> Result<(), MqttError> {
        let Connection { mut reader, mut writer, receive_maximum, ping_period, .. } = connection;
        self.send_again(&mut writer).await?;
        let mut ping = interval_at((clock::now() + ping_period).into(), ping_period);
        let mut awaits_pong = false;
        let mut open = true;
        while open || !self.outbox.is_empty() {
            let room = if self.qos == QoS::AtMostOnce { BATCH } else { BATCH.min(self.outbox.room(receive_maximum)) };
            tokio::select! {
                taken = messages.recv_many(&mut self.batch, room), if open && room > 0 => {
                    open = taken > 0;
                    self.publish(&mut writer).await?;
                }
                filled = reader.fill() => {
                    filled?;
                    while let Some(packet) = reader.next_packet()? {
                        awaits_pong &= packet != Packet::PingResp;
                        self.take(packet, &mut writer)?;
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
            }
        }
        writer.disconnect();
        writer.flush().await
    }

    /// Hands the batch to the socket and stamps it.
    async fn publish(&mut self, writer: &mut MqttWriter) -> Result<(), MqttError> {
        for message in &self.batch {
            let packet_id = if self.qos == QoS::AtMostOnce { 0 } else { self.outbox.keep(message.clone()) };
            writer.publish(&self.topic, self.qos, packet_id, false, &message.body)?;
        }
        let flushed = writer.flush().await;
        let now = clock::now();
        let batch = std::mem::take(&mut self.batch);
        match &flushed {
            Ok(()) => {
                for (run, id) in batch.iter().filter_map(|message| message.trace.as_ref()) {
                    run.stamp_at(self.stage, *id, now);
                }
                // The allocation serves the next batch.
                self.batch = batch;
                self.batch.clear();
            }
            Err(_) if self.qos == QoS::AtMostOnce => warn!("{} messages may be lost with the connection", batch.len()),
            Err(_) => {}
        }
        flushed
    }

    /// Sends what an earlier connection left unacknowledged. Its session was a clean one, so the broker has
    /// forgotten how far each message had come; QoS 2 then means exactly once per connection.
    async fn send_again(&mut self, writer: &mut MqttWriter) -> Result<(), MqttError> {
        for (packet_id, message) in self.outbox.iter() {
            writer.publish(&self.topic, self.qos, packet_id, true, &message.body)?;
        }
        writer.flush().await
    }

    fn take(&mut self, packet: Packet, writer: &mut MqttWriter) -> Result<(), MqttError> {
        match packet {
            // From 0x80 on, the broker does not want the message: sending it again would change nothing.
            Packet::PubAck { packet_id, .. }
            | Packet::PubComp { packet_id, .. }
            | Packet::PubRec { packet_id, reason: 0x80.. } => self.outbox.acknowledge(packet_id),
            Packet::PubRec { packet_id, .. } => writer.pubrel(packet_id),
            Packet::Disconnect { reason } => return Err(MqttError::Disconnected { code: reason }),
            Packet::PingResp => {}
            packet => return Err(MqttError::OutOfTurn(Box::new(packet))),
        }
        Ok(())
    }
}
