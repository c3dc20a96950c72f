//! The connection to the broker: subscribes, acknowledges, stamps.

use crate::MqttclientArgs;
use crate::arrivals::Arrivals;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{
    Packet, PubAck, PubComp, PubRec, Publish, SubAck, Subscribe, SubscribeReasonCode, Unsubscribe,
};
use service::mqtt::{self, BrokerUrl, MqttError, MqttReader, MqttWriter, PING_PERIOD};
use service::{Backoff, Garbage, Part};
use stamp::{CounterHandle, Envelope, Stage, StageHandle, Tracer, clock};
use std::collections::HashSet;
use std::time::Instant;
use tokio::time::{interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub(crate) struct Subscriber {
    broker: BrokerUrl,
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
    pub(crate) fn new(args: &MqttclientArgs, tracer: Tracer, mqtt: Part) -> Self {
        Self {
            broker: args.mqtt.clone(),
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
        let client_id = mqtt::client_id("mqttclient");
        let mut backoff = Backoff::default();
        while !shutdown.is_cancelled() {
            let ended = tokio::select! {
                connected = mqtt::connect(&self.broker, &client_id) => match connected {
                    Ok((reader, writer)) => {
                        let session = self.session(reader, writer, &mut backoff, &shutdown).await;
                        self.mqtt.set(false);
                        session
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
        mut reader: MqttReader,
        mut writer: MqttWriter,
        backoff: &mut Backoff,
        shutdown: &CancellationToken,
    ) -> Result<(), MqttError> {
        self.unreleased.clear();
        let mut subscribe = Subscribe::new(&self.topic, self.qos);
        subscribe.pkid = 1;
        writer.queue(&Packet::Subscribe(subscribe))?;
        writer.flush().await?;
        let mut ping = interval_at((clock::now() + PING_PERIOD).into(), PING_PERIOD);
        let (mut awaits_pong, mut leaving) = (false, false);
        loop {
            tokio::select! {
                filled = reader.fill() => {
                    filled?;
                    // All that one read brought has arrived by now.
                    let now = clock::now();
                    while let Some(packet) = reader.next_packet()? {
                        match packet {
                            Packet::SubAck(answer) => self.subscribed(&answer, backoff),
                            Packet::PingResp => awaits_pong = false,
                            Packet::UnsubAck(_) => {
                                writer.queue(&Packet::Disconnect)?;
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
                    writer.queue(&Packet::PingReq)?;
                    writer.flush().await?;
                }
                // Whatever the broker sent before it answers this is still received.
                () = shutdown.cancelled(), if !leaving => {
                    leaving = true;
                    let mut unsubscribe = Unsubscribe::new(&self.topic);
                    unsubscribe.pkid = 2;
                    writer.queue(&Packet::Unsubscribe(unsubscribe))?;
                    writer.flush().await?;
                }
            }
        }
    }

    fn subscribed(&self, answer: &SubAck, backoff: &mut Backoff) {
        if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
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
                let packet_id = publish.pkid;
                match publish.qos {
                    QoS::AtMostOnce => self.arrived(&publish, now),
                    QoS::AtLeastOnce => {
                        self.arrived(&publish, now);
                        writer.queue(&Packet::PubAck(PubAck::new(packet_id)))?;
                    }
                    QoS::ExactlyOnce => {
                        if self.unreleased.insert(packet_id) {
                            self.arrived(&publish, now);
                        }
                        writer.queue(&Packet::PubRec(PubRec::new(packet_id)))?;
                    }
                }
                Ok(())
            }
            Packet::PubRel(release) => {
                self.unreleased.remove(&release.pkid);
                writer.queue(&Packet::PubComp(PubComp::new(release.pkid)))
            }
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
