//! From bytes to packets. Pure, and safe with whatever comes: a broker's address may be that of something else.

use super::encode::LARGEST_PACKET;
use super::packet::{ConnAck, Packet, Publish};
use super::version::Version;
use bytes::{Buf, Bytes, BytesMut};
use rumqttc::QoS;
use rumqttc::v5::mqttbytes::v5 as rumqttc_v5;

/// The broker sent something that is no MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The length of a packet takes at most four bytes.
    #[error("a packet's length takes more than four bytes")]
    Length,
    /// The first byte begins no packet that a broker sends.
    #[error("no packet from a broker begins with {0:#04x}")]
    Kind(u8),
    /// The content is not what the first byte and the length promise.
    #[error("a {0} packet is malformed")]
    Malformed(&'static str),
}

/// Takes the first packet off the buffer; none, when it has not come whole yet. After an error the buffer is of no more use.
pub fn decode(version: Version, buffer: &mut BytesMut) -> Result<Option<Packet>, ProtocolError> {
    let Some(&first) = buffer.first() else { return Ok(None) };
    // Checked before the rest has come: what is no broker may never send as much as its second byte promises.
    let name = name(version, first)?;
    let Some((header, remaining)) = lengths(buffer)? else { return Ok(None) };
    if buffer.len() < header + remaining {
        return Ok(None);
    }
    let mut body = buffer.split_to(header + remaining).freeze();
    body.advance(header);
    packet(version, first, body).map(Some).ok_or(ProtocolError::Malformed(name))
}

fn name(version: Version, first: u8) -> Result<&'static str, ProtocolError> {
    match (first, version) {
        (0x20, _) => Ok("CONNACK"),
        (0x30..=0x3f, _) => Ok("PUBLISH"),
        (0x40, _) => Ok("PUBACK"),
        (0x50, _) => Ok("PUBREC"),
        (0x62, _) => Ok("PUBREL"),
        (0x70, _) => Ok("PUBCOMP"),
        (0x90, _) => Ok("SUBACK"),
        (0xb0, _) => Ok("UNSUBACK"),
        (0xd0, _) => Ok("PINGRESP"),
        (0xe0, Version::V5) => Ok("DISCONNECT"),
        _ => Err(ProtocolError::Kind(first)),
    }
}

/// The bytes that the fixed header takes, and those that follow it.
fn lengths(packet: &[u8]) -> Result<Option<(usize, usize)>, ProtocolError> {
    match variable_integer(packet.get(1..).unwrap_or_default()) {
        Some((size, remaining)) => Ok(Some((1 + size, remaining))),
        None if packet.len() > 4 => Err(ProtocolError::Length),
        None => Ok(None),
    }
}

/// An integer of one to four bytes, with the number of them.
fn variable_integer(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (position, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((position + 1, value));
        }
    }
    None
}

fn packet(version: Version, first: u8, mut body: Bytes) -> Option<Packet> {
    match first >> 4 {
        2 => connack(version, body).map(Packet::ConnAck),
        3 => publish(version, first, body).map(Packet::Publish),
        4 => acknowledgement(version, body).map(|(packet_id, reason)| Packet::PubAck { packet_id, reason }),
        5 => acknowledgement(version, body).map(|(packet_id, reason)| Packet::PubRec { packet_id, reason }),
        6 => acknowledgement(version, body).map(|(packet_id, _)| Packet::PubRel { packet_id }),
        7 => acknowledgement(version, body).map(|(packet_id, reason)| Packet::PubComp { packet_id, reason }),
        9 => {
            let packet_id = packet_id(&mut body)?;
            pass_properties(version, &mut body)?;
            let granted: Option<Vec<_>> = body.iter().map(|&code| grant(code)).collect();
            granted.filter(|granted| !granted.is_empty()).map(|granted| Packet::SubAck { packet_id, granted })
        }
        11 => {
            let packet_id = packet_id(&mut body)?;
            pass_properties(version, &mut body)?;
            (body.is_empty() == (version == Version::V3)).then_some(Packet::UnsubAck { packet_id })
        }
        13 => body.is_empty().then_some(Packet::PingResp),
        14 => reason(version, &mut body).map(|reason| Packet::Disconnect { reason }),
        _ => None,
    }
}

fn publish(version: Version, first: u8, mut body: Bytes) -> Option<Publish> {
    let qos = quality(first >> 1 & 3)?;
    let duplicate = first & 8 != 0;
    let size = usize::from(body.try_get_u16().ok()?);
    // An empty topic would stand for a topic alias, which we have not offered to understand.
    if size == 0 || size > body.len() || (duplicate && qos == QoS::AtMostOnce) {
        return None;
    }
    let topic = body.split_to(size);
    let packet_id = if qos == QoS::AtMostOnce { 0 } else { packet_id(&mut body)? };
    pass_properties(version, &mut body)?;
    Some(Publish { topic, payload: body, qos, packet_id, duplicate })
}

/// A packet id and the reason code: PUBACK and its like.
fn acknowledgement(version: Version, mut body: Bytes) -> Option<(u16, u8)> {
    let packet_id = packet_id(&mut body)?;
    Some((packet_id, reason(version, &mut body)?))
}

/// The reason code at the end of a packet: MQTT 5 may leave it out when all is well, and the properties after it, too.
fn reason(version: Version, body: &mut Bytes) -> Option<u8> {
    if body.is_empty() {
        return Some(0);
    }
    let reason = body.try_get_u8().ok()?;
    if !body.is_empty() {
        pass_properties(version, body)?;
    }
    (version == Version::V5 && body.is_empty()).then_some(reason)
}

fn connack(version: Version, mut body: Bytes) -> Option<ConnAck> {
    let (flags, code) = (*body.first()?, *body.get(1)?);
    let mut answer = ConnAck {
        session_present: flags & 1 != 0,
        code,
        receive_maximum: u16::MAX,
        largest_packet: LARGEST_PACKET,
        highest_qos: QoS::ExactlyOnce,
        keep_alive: None,
    };
    if flags & !1 != 0 {
        return None;
    }
    if body.len() == 2 {
        // A broker that does not speak MQTT 5 says so in the form of 3.1.1.
        return (version == Version::V3 || code != 0).then_some(answer);
    }
    if version == Version::V3 {
        return None;
    }
    // rumqttc reads the properties, and ends an unknown code in an error: the code is ours to judge.
    body.advance(2);
    let mut properties = body.clone();
    pass_properties(version, &mut body)?;
    if !body.is_empty() {
        return None;
    }
    if let Some(properties) = rumqttc_v5::ConnAckProperties::read(&mut properties).ok()? {
        answer.receive_maximum = properties.receive_max.unwrap_or(u16::MAX);
        answer.highest_qos = quality(properties.max_qos.unwrap_or(2))?;
        answer.keep_alive = properties.server_keep_alive;
        if let Some(largest) = properties.max_packet_size {
            answer.largest_packet = usize::try_from(largest).map_or(LARGEST_PACKET, |size| size.min(LARGEST_PACKET));
        }
    }
    (answer.receive_maximum > 0 && answer.largest_packet > 0).then_some(answer)
}

/// Passes over the properties that MQTT 5 has and 3.1.1 has not.
fn pass_properties(version: Version, body: &mut Bytes) -> Option<()> {
    if version == Version::V5 {
        let (size, length) = variable_integer(body)?;
        if size + length > body.len() {
            return None;
        }
        body.advance(size + length);
    }
    Some(())
}

fn packet_id(body: &mut Bytes) -> Option<u16> {
    body.try_get_u16().ok().filter(|&packet_id| packet_id > 0)
}

fn quality(number: u8) -> Option<QoS> {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].get(usize::from(number)).copied()
}

fn grant(code: u8) -> Option<Result<QoS, u8>> {
    if code >= 0x80 { Some(Err(code)) } else { quality(code).map(Ok) }
}
