//! From packets to bytes.

use super::version::Version;
use bytes::{BufMut, BytesMut};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4 as rumqttc_v4;
use rumqttc::v5::mqttbytes::{QoS as QoS5, v5 as rumqttc_v5};

/// The largest packet that MQTT can express, its own first five bytes included: what fits through the API server fits through
/// here.
pub(super) const LARGEST_PACKET: usize = 5 + 268_435_455;

/// What cannot be sent to this broker, now or later; the connection is as good as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// The text does not fit MQTT's 16-bit lengths.
    #[error("the {0} is longer than 65535 bytes, which is more than MQTT can send: shorten it")]
    TooLong(&'static str),
    /// The packet is larger than MQTT, or this broker, allows.
    #[error("a packet of {size} bytes is too large: the broker takes at most {largest}")]
    TooLarge {
        /// The packet's size.
        size: usize,
        /// What the broker takes.
        largest: usize,
    },
    /// The broker does not offer this quality of service.
    #[error("the broker takes messages at most at QoS {0}: choose that with --qos")]
    QualityOfService(u8),
    /// Packet id 0 is reserved.
    #[error("packet id 0 cannot be sent")]
    PacketIdZero,
    /// rumqttc will not write it.
    #[error("the {0} packet cannot be made")]
    Packet(&'static str),
}

/// Who we say that we are.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// What CONNECT says.
pub(super) struct Connect<'a> {
    pub(super) client_id: &'a str,
    pub(super) keep_alive_seconds: u16,
    /// How long the broker is to keep the session after the connection has ended; none for a session that ends with it.
    pub(super) keep_session_seconds: Option<u32>,
    pub(super) login: Option<&'a Login>,
}

pub(super) fn connect(version: Version, connect: &Connect<'_>, buffer: &mut BytesMut) -> Result<(), Unsendable> {
    let (client_id, keep_alive) = (short("client id", connect.client_id)?.to_owned(), connect.keep_alive_seconds);
    let clean = connect.keep_session_seconds.is_none();
    if let Some(login) = connect.login {
        short("user name", &login.user)?;
        short("password", &login.password)?;
    }
    let login = connect.login.map(|login| (login.user.clone(), login.password.clone()));
    let written = match version {
        Version::V3 => {
            let mut packet = rumqttc_v4::Connect::new(client_id);
            (packet.keep_alive, packet.clean_session) = (keep_alive, clean);
            packet.login = login.map(|(username, password)| rumqttc_v4::Login { username, password });
            packet.write(buffer).ok()
        }
        Version::V5 => {
            let mut properties = rumqttc_v5::ConnectProperties::new();
            properties.session_expiry_interval = connect.keep_session_seconds;
            let packet =
                rumqttc_v5::Connect { keep_alive, client_id, clean_start: clean, properties: Some(properties) };
            let login = login.map(|(username, password)| rumqttc_v5::Login { username, password });
            packet.write(&None, &login, buffer).ok()
        }
    };
    written.map(|_| ()).ok_or(Unsendable::Packet("CONNECT"))
}

pub(super) fn subscribe(
    version: Version,
    packet_id: u16,
    filter: &str,
    qos: QoS,
    buffer: &mut BytesMut,
) -> Result<(), Unsendable> {
    short("topic filter", filter)?;
    let written = match version {
        Version::V3 => {
            let mut packet = rumqttc_v4::Subscribe::new(filter, qos);
            packet.pkid = nonzero(packet_id)?;
            packet.write(buffer).ok()
        }
        Version::V5 => {
            let qos = match qos {
                QoS::AtMostOnce => QoS5::AtMostOnce,
                QoS::AtLeastOnce => QoS5::AtLeastOnce,
                QoS::ExactlyOnce => QoS5::ExactlyOnce,
            };
            let mut packet = rumqttc_v5::Subscribe::new(rumqttc_v5::Filter::new(filter, qos), None);
            packet.pkid = nonzero(packet_id)?;
            packet.write(buffer).ok()
        }
    };
    written.map(|_| ()).ok_or(Unsendable::Packet("SUBSCRIBE"))
}

pub(super) fn unsubscribe(
    version: Version,
    packet_id: u16,
    filter: &str,
    buffer: &mut BytesMut,
) -> Result<(), Unsendable> {
    short("topic filter", filter)?;
    let written = match version {
        Version::V3 => {
            let mut packet = rumqttc_v4::Unsubscribe::new(filter);
            packet.pkid = nonzero(packet_id)?;
            packet.write(buffer).ok()
        }
        Version::V5 => {
            let mut packet = rumqttc_v5::Unsubscribe::new(filter, None);
            packet.pkid = nonzero(packet_id)?;
            packet.write(buffer).ok()
        }
    };
    written.map(|_| ()).ok_or(Unsendable::Packet("UNSUBSCRIBE"))
}

/// A message to publish.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) topic: &'a str,
    pub(super) qos: QoS,
    /// Not sent at QoS 0.
    pub(super) packet_id: u16,
    /// Not sent at QoS 0.
    pub(super) duplicate: bool,
    pub(super) payload: &'a [u8],
    /// A user property, name and value; MQTT 3.1.1 has none, and it is left out there.
    pub(super) property: Option<(&'a str, &'a str)>,
}

pub(super) fn publish(
    version: Version,
    message: Outgoing<'_>,
    largest: usize,
    buffer: &mut BytesMut,
) -> Result<(), Unsendable> {
    let Outgoing { topic, qos, packet_id, duplicate, payload, property } = message;
    short("topic", topic)?;
    let acknowledged = qos != QoS::AtMostOnce;
    if acknowledged {
        nonzero(packet_id)?;
    }
    let properties = match (version, property) {
        (Version::V5, Some((name, value))) => {
            5 + short("user property", name)?.len() + short("user property", value)?.len()
        }
        _ => 0,
    };
    let own = 2
        + if acknowledged { 2 } else { 0 }
        + if version == Version::V5 { size_of_length(properties) + properties } else { 0 };
    let remaining = own + topic.len() + payload.len();
    let size = 1 + size_of_length(remaining) + remaining;
    if size > largest {
        return Err(Unsendable::TooLarge { size, largest });
    }
    buffer.reserve(size);
    let duplicate = u8::from(acknowledged && duplicate) << 3;
    buffer.put_u8(0x30 | duplicate | (qos as u8) << 1);
    put_length(remaining, buffer);
    put_text(topic, buffer);
    if acknowledged {
        buffer.put_u16(packet_id);
    }
    if version == Version::V5 {
        put_length(properties, buffer);
        if let Some((name, value)) = property {
            buffer.put_u8(USER_PROPERTY);
            put_text(name, buffer);
            put_text(value, buffer);
        }
    }
    buffer.put_slice(payload);
    Ok(())
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP, as `first` says. Without a reason code, which means that all is well, both versions
/// write them alike.
pub(super) fn acknowledge(first: u8, packet_id: u16, buffer: &mut BytesMut) {
    buffer.put_u32(u32::from(first) << 24 | 2 << 16 | u32::from(packet_id));
}

pub(super) const PUBACK: u8 = 0x40;
pub(super) const PUBREC: u8 = 0x50;
pub(super) const PUBREL: u8 = 0x62;
pub(super) const PUBCOMP: u8 = 0x70;
pub(super) const PINGREQ: [u8; 2] = [0xc0, 0];
/// A normal end, in both versions.
pub(super) const DISCONNECT: [u8; 2] = [0xe0, 0];

/// Its identifier among the properties of MQTT 5.
const USER_PROPERTY: u8 = 0x26;

/// A text that [`short`] has let pass.
fn put_text(text: &str, buffer: &mut BytesMut) {
    buffer.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    buffer.put_slice(text.as_bytes());
}

/// The bytes that a length takes.
fn size_of_length(length: usize) -> usize {
    match length {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that another byte follows.
fn put_length(mut length: usize, buffer: &mut BytesMut) {
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        buffer.put_u8(low & 0x7f | u8::from(length > 0) << 7);
        if length == 0 {
            return;
        }
    }
}

pub(super) fn short<'a>(what: &'static str, text: &'a str) -> Result<&'a str, Unsendable> {
    if text.len() > usize::from(u16::MAX) { Err(Unsendable::TooLong(what)) } else { Ok(text) }
}

fn nonzero(packet_id: u16) -> Result<u16, Unsendable> {
    if packet_id == 0 { Err(Unsendable::PacketIdZero) } else { Ok(packet_id) }
}
