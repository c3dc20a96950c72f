//! The MQTT half: publishes whatever has been taken from the queue, many messages in one write.

use crate::aside::Aside;
use crate::message::Message;
use crate::outbox::{IN_FLIGHT, Outbox};
use crate::refusal::{self, NO_MATCHING_SUBSCRIBERS, REFUSED};
use crate::suspicion::{self, Care, Guilty};
use rumqttc::QoS;
use service::mqtt::{self, Broker, Connection, MqttError, MqttReader, MqttWriter, Packet, Session, Unsendable};
use service::{Backoff, Counter, Gauge, Latency, Outage, Part};
use stamp::{StageHandle, Traceparent, clock};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The most messages in one write.
const BATCH: usize = 256;

/// How long a connection must last until an outage counts as over: longer than the longest delay between two of them.
const STEADY: Duration = Duration::from_secs(3);

/// Why nothing can be published for now.
#[derive(Debug, thiserror::Error)]
enum Setback {
    #[error(transparent)]
    Mqtt(#[from] MqttError),
    #[error("the mqtt broker refused a message with reason {0:#04x}: check its access rules and limits")]
    Refused(u8),
    #[error("nobody subscribes to the topic: messages are kept until somebody does (--delivery at-least-once, MQTT 5)")]
    Nobody,
}

/// What a publisher needs to know.
pub(crate) struct Publisher {
    pub(crate) broker: Broker,
    pub(crate) topic: String,
    pub(crate) qos: QoS,
    /// Whether a message that reaches nobody counts as published.
    pub(crate) needs_subscriber: bool,
    pub(crate) publish: StageHandle,
    pub(crate) acknowledged: StageHandle,
    pub(crate) mqtt: Part,
    /// All publishers tell of one outage of the broker.
    pub(crate) outage: Outage,
    pub(crate) latency: Latency,
    pub(crate) in_flight: Gauge,
    pub(crate) reconnects: Counter,
    pub(crate) aside: Aside,
    pub(crate) guilty: Guilty,
}

/// A publisher at work.
struct Publishing {
    settings: Publisher,
    messages: mpsc::Receiver<Message>,
    /// Taken from the channel, or from the outbox of a connection that is gone, and not yet handed to the socket.
    pending: VecDeque<Message>,
    outbox: Outbox,
    /// More may come through the channel.
    open: bool,
    /// Messages that the broker lets be in flight.
    room: usize,
    /// What was told of them last.
    told_in_flight: i64,
    /// The broker has refused a message, and has acknowledged none since.
    refused: bool,
    care: Care,
    /// Sees whether the broker lives on when it closes the connection at a suspect message.
    witness: Option<Connection>,
    /// At quality of service 0: a message is alone in flight until the answer to a ping that follows it.
    awaits_barrier: bool,
    /// Written, not yet flushed, at quality of service 0.
    written: Vec<Message>,
    /// The packet ids of what is written and not yet flushed, at 1 and 2.
    written_ids: Vec<u16>,
}

impl Publisher {
    /// Publishes until the channel ends and everything is acknowledged, or until it is given up. Gives what never left this
    /// process.
    pub(crate) async fn run(self, messages: mpsc::Receiver<Message>, given_up: CancellationToken) -> Vec<Message> {
        let mut publishing = Publishing {
            settings: self,
            messages,
            pending: VecDeque::new(),
            outbox: Outbox::default(),
            open: true,
            room: 0,
            told_in_flight: 0,
            refused: false,
            care: Care::default(),
            witness: None,
            awaits_barrier: false,
            written: Vec::new(),
            written_ids: Vec::new(),
        };
        tokio::select! {
            () = publishing.run() => return Vec::new(),
            () = given_up.cancelled() => {}
        }
        let (written, mut unsent): (Vec<Message>, Vec<Message>) =
            publishing.pending.into_iter().partition(|message| message.written);
        let unsure = publishing.outbox.len() + publishing.written.len() + written.len();
        if unsure > 0 {
            warn!("the broker may or may not have {unsure} messages");
        }
        // By now the workers only finish what they have begun.
        while let Some(message) = publishing.messages.recv().await {
            unsent.push(message);
        }
        unsent
    }
}

impl Publishing {
    async fn run(&mut self) {
        let session = Session { client_id: mqtt::client_id("pushserver"), persistent: false };
        let mut backoff = Backoff::default();
        let mut was_connected = false;
        loop {
            let ended = match mqtt::connect(&self.settings.broker, &session).await {
                Ok(connection) => {
                    if std::mem::replace(&mut was_connected, true) {
                        self.settings.reconnects.inc();
                    }
                    let ended = self.session(connection, &mut backoff).await;
                    self.settings.mqtt.set(false);
                    ended
                }
                Err(error) => Err(error.into()),
            };
            self.judge(&ended).await;
            self.refused |= matches!(ended, Err(Setback::Refused(_) | Setback::Nobody));
            match ended {
                Ok(()) => return,
                Err(setback) if self.settings.outage.begins() => warn!("nothing is published: {setback}"),
                Err(_) => {}
            }
            sleep(backoff.next_delay()).await;
        }
    }

    /// Takes back what was in flight on a connection that is gone: the next one's session is a new one, for which these are new
    /// messages. One that the broker closes the connection at, again and again, is set aside.
    async fn judge(&mut self, ended: &Result<(), Setback>) {
        let closed = matches!(ended, Err(Setback::Mqtt(error)) if error.may_be_about_what_was_sent());
        let (witness, Publisher { broker, aside, guilty, .. }) = (self.witness.take(), &self.settings);
        let mut again = self.outbox.drain();
        self.care.connection_lost(!again.is_empty());
        if let ([message], true) = (&mut again[..], closed)
            && (!guilty.needs_witness(message) || suspicion::lives(witness).await)
        {
            message.closings += 1;
        }
        for message in again.into_iter().rev() {
            if message.closings < guilty.closings(&message) {
                self.pending.push_front(message);
                continue;
            }
            guilty.found(&message);
            aside.put(message, &"each time that it was sent, alone, the broker closed the connection");
        }
        // At quality of service 0 nothing is sent twice. A broker that has ended does not answer at once.
        let unanswered = std::mem::take(&mut self.written);
        if std::mem::take(&mut self.awaits_barrier)
            && closed
            && suspicion::lives(suspicion::witness(broker).await).await
        {
            for message in unanswered {
                aside.put(message, &"when it was sent, alone, the broker closed the connection");
            }
        } else if !unanswered.is_empty() {
            warn!("{} messages may be lost with the connection", unanswered.len());
            unanswered.into_iter().for_each(Message::published);
        }
    }

    /// One connection's life; `Ok` when there is nothing left to do.
    async fn session(&mut self, connection: Connection, backoff: &mut Backoff) -> Result<(), Setback> {
        let Connection { mut reader, mut writer, receive_maximum, ping_period, .. } = connection;
        self.room = usize::from(receive_maximum.min(IN_FLIGHT));
        // After a refusal, only an acknowledgement shows that all is well again.
        self.settings.mqtt.set(!self.refused);
        let mut is_steady = false;
        let steady = sleep(STEADY);
        tokio::pin!(steady);
        let mut ping = interval_at((clock::now() + ping_period).into(), ping_period);
        // A process that was stopped for long must not take two ticks in a row for a broker that is silent.
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut awaits_pong = false;
        self.send(&mut writer).await?;
        while self.open || !self.outbox.is_empty() || !self.pending.is_empty() || self.awaits_barrier {
            tokio::select! {
                taken = receive(&mut self.messages, &mut self.pending), if self.open && self.pending.is_empty() => {
                    self.open = taken;
                    self.send(&mut writer).await?;
                }
                filled = reader.fill() => {
                    filled?;
                    self.take(&mut reader, &mut writer, &mut awaits_pong)?;
                    self.send(&mut writer).await?;
                }
                () = &mut steady, if !is_steady && !self.refused => {
                    is_steady = true;
                    self.is_well(backoff);
                }
                _ = ping.tick() => {
                    if awaits_pong {
                        return Err(MqttError::Silent.into());
                    }
                    awaits_pong = true;
                    writer.ping();
                    writer.flush().await?;
                }
            }
        }
        writer.disconnect();
        Ok(writer.flush().await?)
    }

    fn is_well(&self, backoff: &mut Backoff) {
        backoff.reset();
        if self.settings.outage.ends() {
            info!("mqtt broker at {} is there", self.settings.broker);
        }
    }

    /// Hands what is pending to the socket, as far as it may go now.
    async fn send(&mut self, writer: &mut MqttWriter) -> Result<(), MqttError> {
        // At 1 and 2 the next acknowledgement brings the next write.
        while self.write(writer).await? && self.settings.qos == QoS::AtMostOnce && self.lets_next() {}
        Ok(())
    }

    /// Whether the next message may be written now.
    fn lets_next(&self) -> bool {
        let in_flight = self.outbox.len() + self.written.len();
        in_flight < self.room && self.pending.front().is_some_and(|message| self.care.lets(message, in_flight))
    }

    /// One write, after which its messages are stamped. False when there was nothing to write.
    async fn write(&mut self, writer: &mut MqttWriter) -> Result<bool, MqttError> {
        if self.outbox.is_empty() && self.pending.front().is_some_and(|next| self.settings.guilty.needs_witness(next)) {
            self.witness = suspicion::witness(&self.settings.broker).await;
        }
        for _ in 0..BATCH {
            if !self.lets_next() {
                break;
            }
            let Some(message) = self.pending.pop_front() else { break };
            self.queue(message, writer)?;
        }
        if writer.queued() == 0 {
            return Ok(false);
        }
        // The subscriber may have a message before this write returns.
        let began = clock::now();
        let flushed = writer.flush().await;
        self.note_written(&flushed, began);
        flushed.map(|()| true)
    }

    /// Adds a message to what the next flush sends.
    fn queue(&mut self, message: Message, writer: &mut MqttWriter) -> Result<(), MqttError> {
        let (topic, qos, body) = (&self.settings.topic, self.settings.qos, message.body.clone());
        let acknowledged = qos != QoS::AtMostOnce;
        let alone = self.care.is_alone(&message);
        let packet_id = if acknowledged { self.outbox.next_id() } else { 0 };
        let context = message.context.as_deref().map(|context| (Traceparent::NAME, context.as_str()));
        match writer.publish_with(topic, qos, packet_id, false, &body, context) {
            Ok(()) if acknowledged => {
                self.outbox.keep(message);
                self.written_ids.push(packet_id);
            }
            Ok(()) => {
                self.written.push(message);
                if alone {
                    writer.ping();
                    self.awaits_barrier = true;
                }
            }
            // It would be refused for ever, and everything behind it would wait.
            Err(MqttError::Unsendable(why @ Unsendable::TooLarge { .. })) => self.settings.aside.put(message, &why),
            Err(error) => {
                self.pending.push_front(message);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Counts and stamps what a write has carried to the broker, with the moment when the first write that carried it began.
    fn note_written(&mut self, flushed: &Result<(), MqttError>, began: Instant) {
        let (publish, latency) = (self.settings.publish, &self.settings.latency);
        let note = |message: &mut Message| {
            // A write that failed may have brought the message all the same.
            let began = *message.began.get_or_insert(began);
            // What goes out again is counted once.
            if flushed.is_ok()
                && !std::mem::replace(&mut message.written, true)
                && let Some((run, id)) = &message.trace
            {
                run.stamp_at(publish, *id, began);
                latency.observe(began.duration_since(message.taken));
            }
        };
        self.written.iter_mut().for_each(note);
        for id in self.written_ids.drain(..) {
            self.outbox.get_mut(id).into_iter().for_each(note);
        }
        if flushed.is_ok() && !self.awaits_barrier {
            self.written.drain(..).for_each(Message::published);
        }
        // Several publishers share the gauge.
        let in_flight = i64::try_from(self.outbox.len() + self.pending.len()).unwrap_or(i64::MAX);
        self.settings.in_flight.inc_by(in_flight - std::mem::replace(&mut self.told_in_flight, in_flight));
    }

    /// Takes in what the broker has sent.
    fn take(
        &mut self,
        reader: &mut MqttReader,
        writer: &mut MqttWriter,
        awaits_pong: &mut bool,
    ) -> Result<(), Setback> {
        while let Some(packet) = reader.next_packet()? {
            match packet {
                Packet::PubAck { packet_id, reason } | Packet::PubRec { packet_id, reason }
                    if refusal::is_final(reason) =>
                {
                    if let Some(message) = self.outbox.acknowledge(packet_id) {
                        let why =
                            format!("the broker refuses it with reason {reason:#04x}{}", refusal::meaning(reason));
                        self.settings.aside.put(message, &why);
                    }
                }
                Packet::PubAck { packet_id, reason } | Packet::PubComp { packet_id, reason } => {
                    self.check(reason)?;
                    self.acknowledged(packet_id);
                }
                Packet::PubRec { packet_id, reason } => {
                    self.check(reason)?;
                    writer.pubrel(packet_id);
                }
                Packet::PingResp => {
                    *awaits_pong = false;
                    if std::mem::take(&mut self.awaits_barrier) {
                        for message in self.written.drain(..) {
                            self.care.taken(message.body.len());
                            message.published();
                        }
                    }
                }
                Packet::Disconnect { reason } => return Err(MqttError::Disconnected { code: reason }.into()),
                packet => return Err(MqttError::OutOfTurn(Box::new(packet)).into()),
            }
        }
        Ok(())
    }

    /// The broker has a message.
    fn acknowledged(&mut self, packet_id: u16) {
        if let Some(message) = self.outbox.acknowledge(packet_id) {
            if let Some((run, id)) = &message.trace {
                run.stamp(self.settings.acknowledged, *id);
            }
            self.care.taken(message.body.len());
            self.settings.guilty.taken(message.body.len());
            self.witness = None;
            message.published();
        }
        if std::mem::take(&mut self.refused) {
            self.settings.mqtt.set(true);
        }
    }

    fn check(&self, reason: u8) -> Result<(), Setback> {
        match reason {
            NO_MATCHING_SUBSCRIBERS if self.settings.needs_subscriber => Err(Setback::Nobody),
            REFUSED.. => Err(Setback::Refused(reason)),
            _ => Ok(()),
        }
    }
}

/// Waits for messages and takes all that are there, up to a batch. False when no more can come.
async fn receive(messages: &mut mpsc::Receiver<Message>, pending: &mut VecDeque<Message>) -> bool {
    let Some(first) = messages.recv().await else { return false };
    pending.push_back(first);
    while pending.len() < BATCH
        && let Ok(next) = messages.try_recv()
    {
        pending.push_back(next);
    }
    true
}
