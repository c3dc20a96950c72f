//! The connection to the broker: subscribes, acknowledges, stamps.

use crate::arrivals::{Arrival, Arrivals};
use service::mqtt::{self, Broker, Connection, MqttError, MqttReader, MqttWriter, Packet, Publish, QoS, Session};
use service::{Backoff, Counter, Garbage, Outage, Part, Shell};
use stamp::{CounterHandle, Envelope, Stage, StageHandle, Tracer, clock};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio::time::{Interval, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// The longest wait between two attempts to reach the broker. What a broker that has come back gets before a clean subscriber
/// is there again reaches nobody, so that this is far below the two seconds of others.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// How long a connection must last until an outage counts as over: longer than the longest delay between two of them, so that two
/// clients with the same id, who end each other's connections, come more and more seldom.
const STEADY: Duration = Duration::from_secs(3);

/// When so many connections in a row have been accepted and soon ended by the broker, another client most likely has the same id.
const SUSPICIOUS: u32 = 3;

pub(crate) struct Subscriber {
    broker: Broker,
    session: Session,
    filter: String,
    qos: QoS,
    mqtt: Part,
    outage: Outage,
    arrivals: Arrivals,
    tracer: Tracer,
    stage: StageHandle,
    duplicates: CounterHandle,
    garbage: Garbage,
    reconnects: Counter,
    /// QoS 2 packets received and not yet released: the broker may send them again until then.
    unreleased: HashSet<u16>,
    /// What one read has brought, until it is noted.
    received: Vec<Arrival>,
    /// What the broker is told once it is noted.
    replies: Vec<Reply>,
}

#[derive(Debug, Clone, Copy)]
enum Reply {
    /// PUBACK
    Acknowledged(u16),
    /// PUBREC
    Received(u16),
    /// PUBCOMP
    Complete(u16),
}

/// What a connection waits for.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is awaited for itself")]
struct Awaited {
    pong: bool,
    /// The broker has granted the subscription.
    subscribed: bool,
    /// The connection has lasted long enough.
    steady: bool,
    /// The end of the subscription, before which whatever the broker has already sent is still received.
    end: bool,
    /// That end has come.
    ended: bool,
}

impl Subscriber {
    pub(crate) fn new(
        broker: Broker,
        session: Session,
        filter: String,
        qos: QoS,
        arrivals: Arrivals,
        outage: Outage,
        shell: &Shell,
    ) -> Self {
        let tracer = shell.tracer.clone();
        Self {
            broker,
            session,
            filter,
            qos,
            mqtt: shell.readiness.part("mqtt"),
            arrivals,
            outage,
            stage: tracer.stage(&Stage::MQTTCLIENT),
            duplicates: tracer.counter("duplicates"),
            garbage: Garbage::new("what the broker sends", &tracer),
            tracer,
            reconnects: shell.metrics.reconnects("mqtt"),
            unreleased: HashSet::new(),
            received: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// Receives until the shutdown.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! { () = self.arrivals.ready() => {}, () = shutdown.cancelled() => return }
        let mut backoff = Backoff::default();
        let mut was_connected = false;
        let mut soon_ended = 0;
        while !shutdown.is_cancelled() {
            let mut accepted = false;
            let ended = tokio::select! {
                connected = mqtt::connect(&self.broker, &self.session) => match connected {
                    Ok(connection) => {
                        accepted = true;
                        if std::mem::replace(&mut was_connected, true) {
                            self.reconnects.inc();
                        }
                        let ended = self.receive(connection, &mut backoff, &shutdown).await;
                        self.mqtt.set(false);
                        ended
                    }
                    Err(error) => Err(error),
                },
                () = shutdown.cancelled() => return,
            };
            match ended {
                Ok(()) => return,
                Err(error) => {
                    // A broker that ends connections is there: what it gets meanwhile is not the only concern.
                    soon_ended = if accepted && backoff.is_waiting() { soon_ended + 1 } else { 0 };
                    self.tell(&error, soon_ended);
                }
            }
            let mut wait = backoff.next_delay();
            if !accepted {
                wait = wait.min(LONGEST_WAIT);
            }
            tokio::select! { () = sleep(wait) => {}, () = shutdown.cancelled() => {} }
        }
    }

    /// Tells of an outage once, and once of what is most likely its cause where the broker ends one connection after the other without a
    /// word, as those of 3.1.1 do.
    fn tell(&self, error: &MqttError, soon_ended: u32) {
        let id = &self.session.client_id;
        let taken_over = matches!(error, MqttError::Disconnected { code: 0x8e });
        let remedy = format!("another client with the id {id:?} is connected; give each its own --client-id");
        if self.outage.begins() {
            let remedy = if taken_over { format!(": {remedy}") } else { String::new() };
            warn!("nothing is received: {error}{remedy}");
        } else if soon_ended == SUSPICIOUS && matches!(error, MqttError::Lost(_)) {
            warn!("the broker has ended several connections soon after it accepted them: most likely {remedy}");
        }
    }

    /// One connection's life; `Ok` at the shutdown.
    async fn receive(
        &mut self,
        connection: Connection,
        backoff: &mut Backoff,
        shutdown: &CancellationToken,
    ) -> Result<(), MqttError> {
        let Connection { mut reader, mut writer, session_present, ping_period, .. } = connection;
        if !session_present {
            self.unreleased.clear();
        }
        writer.subscribe(1, &self.filter, self.qos)?;
        writer.flush().await?;
        let mut ping = interval_at((clock::now() + ping_period).into(), ping_period);
        // A process that was stopped for long must not take two ticks in a row for a broker that is silent.
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut awaited = Awaited::default();
        let steady = sleep(STEADY);
        tokio::pin!(steady);
        while !awaited.ended {
            tokio::select! {
                filled = reader.fill() => {
                    filled?;
                    // All that one read brought has arrived by now.
                    let now = clock::now();
                    let taken = self.take_all(&mut reader, &mut awaited);
                    self.note(now, &mut writer, &mut ping).await?;
                    taken?;
                    writer.flush().await?;
                }
                () = &mut steady, if awaited.subscribed && !awaited.steady => {
                    awaited.steady = true;
                    self.is_well(backoff);
                }
                _ = ping.tick() => {
                    if awaited.pong {
                        return Err(MqttError::Silent);
                    }
                    awaited.pong = true;
                    writer.ping();
                    writer.flush().await?;
                }
                () = shutdown.cancelled(), if !awaited.end => {
                    if self.session.persistent {
                        // The subscription stays, and with it what comes from now on and what is not acknowledged yet.
                        break;
                    }
                    awaited.end = true;
                    writer.unsubscribe(2, &self.filter)?;
                    writer.flush().await?;
                }
            }
        }
        writer.disconnect();
        writer.flush().await
    }

    /// Takes every packet that has come whole.
    fn take_all(&mut self, reader: &mut MqttReader, awaited: &mut Awaited) -> Result<(), MqttError> {
        while let Some(packet) = reader.next_packet()? {
            match packet {
                Packet::Publish(publish) => self.take(&publish),
                Packet::PubRel { packet_id } => {
                    self.unreleased.remove(&packet_id);
                    self.replies.push(Reply::Complete(packet_id));
                }
                Packet::SubAck { granted, .. } => awaited.subscribed = self.subscribed(&granted),
                Packet::UnsubAck { .. } => awaited.ended = awaited.end,
                Packet::PingResp => awaited.pong = false,
                Packet::Disconnect { reason } => return Err(MqttError::Disconnected { code: reason }),
                packet => return Err(MqttError::OutOfTurn(Box::new(packet))),
            }
        }
        Ok(())
    }

    /// Whether the broker sends what was subscribed to.
    fn subscribed(&self, granted: &[Result<QoS, u8>]) -> bool {
        if let Some(code) = granted.iter().find_map(|granted| granted.err()) {
            error!(
                "mqtt broker at {} refused the subscription to {:?} with code {code}: check its access rules{}",
                self.broker,
                self.filter,
                if self.filter.starts_with("$share/") { ", and whether it offers shared subscriptions" } else { "" }
            );
            return false;
        }
        self.mqtt.set(true);
        true
    }

    fn is_well(&self, backoff: &mut Backoff) {
        backoff.reset();
        if self.outage.ends() {
            info!("mqtt broker at {} is there", self.broker);
        }
    }

    fn take(&mut self, publish: &Publish) {
        let reply = match publish.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Reply::Acknowledged(publish.packet_id)),
            QoS::ExactlyOnce => Some(Reply::Received(publish.packet_id)),
        };
        self.replies.extend(reply);
        if publish.qos == QoS::ExactlyOnce && !self.unreleased.insert(publish.packet_id) {
            return;
        }
        match Envelope::read(&publish.payload) {
            Ok(envelope) => {
                let run = self.tracer.run(envelope.run());
                self.received.push(Arrival { run, id: envelope.id, first: false });
            }
            Err(error) => self.garbage.found(&error),
        }
    }

    /// Notes, counts and stamps what was taken, and then acknowledges it. Where arrivals are noted in a log store that is
    /// away, this takes until it is back, whatever becomes of the connection: `unreleased` would keep the broker's
    /// repetition of a packet from being noted at all. Until then the broker only gets its pings.
    async fn note(&mut self, now: Instant, writer: &mut MqttWriter, ping: &mut Interval) -> Result<(), MqttError> {
        let mut alive = Ok(());
        if !self.received.is_empty() {
            let noting = self.arrivals.note(&mut self.received);
            tokio::pin!(noting);
            loop {
                tokio::select! {
                    biased;
                    () = &mut noting => break,
                    _ = ping.tick(), if alive.is_ok() => {
                        writer.ping();
                        alive = writer.flush().await;
                    }
                }
            }
        }
        for Arrival { run, id, first } in self.received.drain(..) {
            // Counted before the arrival itself, so that arrivals less duplicates never reads too high.
            if !first {
                run.count(self.duplicates, 1);
            }
            run.stamp_at(self.stage, id, now);
        }
        for reply in self.replies.drain(..) {
            match reply {
                Reply::Acknowledged(packet_id) => writer.puback(packet_id),
                Reply::Received(packet_id) => writer.pubrec(packet_id),
                Reply::Complete(packet_id) => writer.pubcomp(packet_id),
            }
        }
        alive
    }
}
