//! A connection: its beginning, and its two halves.

use super::broker::Broker;
use super::decode::decode;
use super::encode::{self, Connect, Outgoing, Unsendable};
use super::error::{MqttError, PATIENCE};
use super::packet::Packet;
use super::stream::{self, ReadHalf, WriteHalf};
use super::version::Version;
use bytes::BytesMut;
use rumqttc::QoS;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// How often a silent connection is pinged, unless the broker wants it more often ([`Connection::ping_period`]). The broker
/// is told twice this.
pub const PING_PERIOD: Duration = Duration::from_secs(10);

/// How long an MQTT 5 broker keeps a persistent session without its client: an hour covers a restart or a move to another
/// host, and does not leave sessions behind for ever. With MQTT 3.1.1 the broker alone decides.
const KEEP_SESSION_SECONDS: u32 = 60 * 60;

/// Who a client is to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// No two clients of a broker have the same: it would end the older one's connection.
    pub client_id: String,
    /// The broker keeps the subscriptions, and what arrives for them, while the client is away: with MQTT 5 for an hour.
    pub persistent: bool,
}

/// A connection to a broker that has accepted it.
#[derive(Debug)]
pub struct Connection {
    /// What comes from the broker.
    pub reader: MqttReader,
    /// What goes to it.
    pub writer: MqttWriter,
    /// The broker still knew the session.
    pub session_present: bool,
    /// How many QoS 1 and 2 messages may be on their way to the broker at a time; 65535 when it says nothing.
    pub receive_maximum: u16,
    /// How often to ping when there is nothing else to send.
    pub ping_period: Duration,
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct MqttReader {
    stream: ReadHalf,
    version: Version,
    buffer: BytesMut,
}

/// The sending half of a connection: packets gather until [`MqttWriter::flush`].
#[derive(Debug)]
pub struct MqttWriter {
    stream: WriteHalf,
    version: Version,
    buffer: BytesMut,
    largest_packet: usize,
    highest_qos: QoS,
}

/// Connects. Boxed, so that it is compiled here and once.
///
/// # Errors
/// When the broker is away, refuses, or does not answer within 10 s.
pub fn connect<'a>(
    broker: &'a Broker,
    session: &'a Session,
) -> Pin<Box<dyn Future<Output = Result<Connection, MqttError>> + Send + 'a>> {
    Box::pin(async move {
        let connected = timeout(PATIENCE, handshake(broker, session)).await.unwrap_or(Err(MqttError::Silent));
        if connected.is_err() {
            broker.give_turn_on();
        }
        connected
    })
}

async fn handshake(broker: &Broker, session: &Session) -> Result<Connection, MqttError> {
    let version = broker.version;
    let (reader, writer) = stream::open(broker).await?;
    let mut reader = MqttReader { stream: reader, version, buffer: BytesMut::new() };
    let mut writer = MqttWriter {
        stream: writer,
        version,
        buffer: BytesMut::new(),
        largest_packet: encode::LARGEST_PACKET,
        highest_qos: QoS::ExactlyOnce,
    };
    let connect = Connect {
        client_id: &session.client_id,
        keep_alive_seconds: u16::try_from(2 * PING_PERIOD.as_secs()).unwrap_or(u16::MAX),
        keep_session_seconds: session.persistent.then_some(KEEP_SESSION_SECONDS),
        login: broker.login.as_ref(),
    };
    encode::connect(version, &connect, &mut writer.buffer)?;
    writer.flush().await?;
    let answer = match reader.packet().await? {
        Packet::ConnAck(answer) => answer,
        packet => return Err(MqttError::OutOfTurn(Box::new(packet))),
    };
    if answer.code != 0 {
        return Err(MqttError::Refused { url: broker.url.clone(), version, code: answer.code });
    }
    (writer.largest_packet, writer.highest_qos) = (answer.largest_packet, answer.highest_qos);
    let ping_period = match answer.keep_alive {
        Some(seconds @ 1..) => PING_PERIOD.min(Duration::from_secs(seconds.into()) / 2),
        _ => PING_PERIOD,
    };
    Ok(Connection {
        reader,
        writer,
        session_present: answer.session_present,
        receive_maximum: answer.receive_maximum,
        ping_period,
    })
}

impl MqttReader {
    /// Waits until more bytes have come. Nothing is lost when the future is dropped.
    pub async fn fill(&mut self) -> Result<(), MqttError> {
        self.buffer.reserve(16 * 1024);
        match self.stream.read(&mut self.buffer).await? {
            0 => Err(MqttError::Lost(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    /// The next packet that has come whole, if there is one. The parts of a message share the buffer's memory: whoever keeps
    /// one for long keeps all of what came with it.
    pub fn next_packet(&mut self) -> Result<Option<Packet>, MqttError> {
        Ok(decode(self.version, &mut self.buffer)?)
    }

    /// Waits for the next packet.
    pub async fn packet(&mut self) -> Result<Packet, MqttError> {
        loop {
            if let Some(packet) = self.next_packet()? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }
}

impl MqttWriter {
    /// Adds a message to what the next flush sends. `packet_id` and `duplicate` mean nothing at QoS 0.
    pub fn publish(
        &mut self,
        topic: &str,
        qos: QoS,
        packet_id: u16,
        duplicate: bool,
        payload: &[u8],
    ) -> Result<(), MqttError> {
        self.publish_with(topic, qos, packet_id, duplicate, payload, None)
    }

    /// The same with a user property, name and value, where the connection is one of MQTT 5.
    pub fn publish_with(
        &mut self,
        topic: &str,
        qos: QoS,
        packet_id: u16,
        duplicate: bool,
        payload: &[u8],
        property: Option<(&str, &str)>,
    ) -> Result<(), MqttError> {
        if qos as u8 > self.highest_qos as u8 {
            return Err(Unsendable::QualityOfService(self.highest_qos as u8).into());
        }
        let message = Outgoing { topic, qos, packet_id, duplicate, payload, property };
        Ok(encode::publish(self.version, message, self.largest_packet, &mut self.buffer)?)
    }

    /// Acknowledges a QoS 1 message.
    pub fn puback(&mut self, packet_id: u16) {
        encode::acknowledge(encode::PUBACK, packet_id, &mut self.buffer);
    }

    /// Acknowledges a QoS 2 message.
    pub fn pubrec(&mut self, packet_id: u16) {
        encode::acknowledge(encode::PUBREC, packet_id, &mut self.buffer);
    }

    /// Says that a QoS 2 message, which the broker has acknowledged, will not be sent again.
    pub fn pubrel(&mut self, packet_id: u16) {
        encode::acknowledge(encode::PUBREL, packet_id, &mut self.buffer);
    }

    /// Ends a QoS 2 exchange.
    pub fn pubcomp(&mut self, packet_id: u16) {
        encode::acknowledge(encode::PUBCOMP, packet_id, &mut self.buffer);
    }

    /// Subscribes to a topic filter.
    pub fn subscribe(&mut self, packet_id: u16, filter: &str, qos: QoS) -> Result<(), MqttError> {
        Ok(encode::subscribe(self.version, packet_id, filter, qos, &mut self.buffer)?)
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, packet_id: u16, filter: &str) -> Result<(), MqttError> {
        Ok(encode::unsubscribe(self.version, packet_id, filter, &mut self.buffer)?)
    }

    /// Asks for a sign of life.
    pub fn ping(&mut self) {
        self.buffer.extend_from_slice(&encode::PINGREQ);
    }

    /// Takes leave. A persistent session stays.
    pub fn disconnect(&mut self) {
        self.buffer.extend_from_slice(&encode::DISCONNECT);
    }

    /// The bytes that wait for a flush.
    pub fn queued(&self) -> usize {
        self.buffer.len()
    }

    /// Hands everything that has gathered to the socket, in as few writes as it takes. Nothing is sent twice when the future is
    /// dropped.
    pub async fn flush(&mut self) -> Result<(), MqttError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        while !self.buffer.is_empty() {
            let written = timeout(PATIENCE, self.stream.write(&mut self.buffer)).await;
            if written.map_err(|_| MqttError::Silent)?? == 0 {
                return Err(MqttError::Lost(io::ErrorKind::WriteZero.into()));
            }
        }
        timeout(PATIENCE, self.stream.flush()).await.map_err(|_| MqttError::Silent)??;
        Ok(())
    }
}

/// A client id that no other connection uses: a broker ends the older of two with the same one.
pub fn client_id(service: &str) -> String {
    static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
    let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    format!("{service}-{}-{:x}-{number}", std::process::id(), stamp::clock::unix_now().as_micros())
}
