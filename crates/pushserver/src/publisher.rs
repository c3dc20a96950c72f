//! The MQTT half: publishes whatever has been popped, many messages in one write.

use crate::outbox::Outbox;
use crate::{Message, PushserverArgs};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubRel, Publish};
use service::mqtt::{self, BrokerUrl, MqttError, MqttReader, MqttWriter, PING_PERIOD};
use service::{Backoff, Part};
use stamp::{StageHandle, clock};
use tokio::sync::mpsc;
use tokio::time::{interval_at, sleep};
use tracing::{info, warn};

/// The most messages in one write.
const BATCH: usize = 256;

pub(crate) struct Publisher {
    broker: BrokerUrl,
    topic: String,
    qos: QoS,
    stage: StageHandle,
    mqtt: Part,
    outbox: Outbox,
    /// Taken from the channel, not yet handed to the socket.
    batch: Vec<Message>,
}

impl Publisher {
    pub(crate) fn new(args: &PushserverArgs, stage: StageHandle, mqtt: Part) -> Self {
        let (broker, topic, qos) = (args.mqtt.clone(), args.topic.clone(), args.qos);
        Self { broker, topic, qos, stage, mqtt, outbox: Outbox::default(), batch: Vec::new() }
    }

    /// Publishes until the channel ends and everything is acknowledged.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let client_id = mqtt::client_id("pushserver");
        let mut backoff = Backoff::default();
        loop {
            let ended = match mqtt::connect(&self.broker, &client_id).await {
                Ok((reader, writer)) => {
                    if backoff.reset() {
                        info!("mqtt broker at {} is there", self.broker);
                    }
                    self.mqtt.set(true);
                    let session = self.session(reader, writer, &mut messages).await;
                    self.mqtt.set(false);
                    session
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
        mut reader: MqttReader,
        mut writer: MqttWriter,
        messages: &mut mpsc::Receiver<Message>,
    ) -> Result<(), MqttError> {
        self.send_again(&mut writer).await?;
        let mut ping = interval_at((clock::now() + PING_PERIOD).into(), PING_PERIOD);
        let mut awaits_pong = false;
        let mut open = true;
        while open || !self.outbox.is_empty() {
            let room = if self.qos == QoS::AtMostOnce { BATCH } else { BATCH.min(self.outbox.room()) };
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
                    writer.queue(&Packet::PingReq)?;
                    writer.flush().await?;
                }
            }
        }
        writer.queue(&Packet::Disconnect)?;
        writer.flush().await
    }

    /// Hands the batch to the socket and stamps it.
    async fn publish(&mut self, writer: &mut MqttWriter) -> Result<(), MqttError> {
        for message in &self.batch {
            let mut publish = Publish::from_bytes(&self.topic, self.qos, message.body.clone());
            if self.qos != QoS::AtMostOnce {
                publish.pkid = self.outbox.keep(message.clone());
            }
            writer.queue_publish(&publish)?;
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
            let mut publish = Publish::from_bytes(&self.topic, self.qos, message.body.clone());
            (publish.pkid, publish.dup) = (packet_id, true);
            writer.queue_publish(&publish)?;
        }
        writer.flush().await
    }

    fn take(&mut self, packet: Packet, writer: &mut MqttWriter) -> Result<(), MqttError> {
        match packet {
            Packet::PubAck(ack) => self.outbox.acknowledge(ack.pkid),
            Packet::PubRec(received) => writer.queue(&Packet::PubRel(PubRel::new(received.pkid)))?,
            Packet::PubComp(complete) => self.outbox.acknowledge(complete.pkid),
            Packet::PingResp => {}
            packet => return Err(MqttError::OutOfTurn(Box::new(packet))),
        }
        Ok(())
    }
}
