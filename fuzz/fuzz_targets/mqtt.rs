//! What a broker sends, or whatever listens at its address, is read as MQTT packets of both versions. In whatever pieces the
//! bytes come, the packets are the same; and a packet that was read, written down again as the standard has it, reads as the
//! same packet.
//!
//! An input begins with the number of pieces' sizes and the sizes, which are used in turn; the rest is what the broker sends.
#![no_main]

use bytes::{BufMut, BytesMut};
use libfuzzer_sys::fuzz_target;
use service::mqtt::{Packet, ProtocolError, Publish, QoS, Version, decode};

/// What was read, how it ended, and how many bytes were left for packets that had not come whole.
type Read = (Vec<Packet>, Result<usize, ProtocolError>);

fuzz_target!(|input: &[u8]| {
    let Some((&count, rest)) = input.split_first() else { return };
    let Some((sizes, bytes)) = rest.split_at_checked(usize::from(count)) else { return };
    for version in [Version::V3, Version::V5] {
        let whole = read(version, [bytes]);
        assert_eq!(read(version, pieces(sizes, bytes)), whole);
        for packet in whole.0 {
            if let Some(written) = written(version, &packet) {
                assert_eq!(read(version, [&written[..]]), (vec![packet], Ok(0)));
            }
        }
    }
});

/// The bytes in pieces of these sizes.
fn pieces<'a>(sizes: &[u8], mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &size in sizes.iter().cycle() {
        let (piece, rest) = bytes.split_at(bytes.len().min(usize::from(size).max(1)));
        pieces.push(piece);
        bytes = rest;
        if bytes.is_empty() {
            break;
        }
    }
    pieces.push(bytes);
    pieces
}

/// Takes off the buffer what there is after each piece, up to the first error.
fn read<'a>(version: Version, pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let (mut buffer, mut packets) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.len();
            match decode(version, &mut buffer) {
                Ok(Some(packet)) => {
                    assert!(buffer.len() < before, "{packet:?} took no bytes");
                    packets.push(packet);
                }
                Ok(None) => break,
                Err(error) => return (packets, Err(error)),
            }
        }
    }
    (packets, Ok(buffer.len()))
}

/// The shortest form of a packet; none of a CONNACK, whose properties are many.
fn written(version: Version, packet: &Packet) -> Option<Vec<u8>> {
    let v5 = version == Version::V5;
    let mut body = Vec::new();
    let first = match packet {
        Packet::ConnAck(_) => return None,
        Packet::Publish(Publish { topic, payload, qos, packet_id, duplicate }) => {
            body.put_u16(topic.len().try_into().unwrap());
            body.put_slice(topic);
            assert_eq!(*packet_id > 0, *qos != QoS::AtMostOnce);
            if *packet_id > 0 {
                body.put_u16(*packet_id);
            }
            body.extend(v5.then_some(0));
            body.put_slice(payload);
            0x30 | u8::from(*duplicate) << 3 | (*qos as u8) << 1
        }
        Packet::PubAck { packet_id, reason } => acknowledgement(0x40, *packet_id, *reason, &mut body),
        Packet::PubRec { packet_id, reason } => acknowledgement(0x50, *packet_id, *reason, &mut body),
        Packet::PubRel { packet_id } => acknowledgement(0x62, *packet_id, 0, &mut body),
        Packet::PubComp { packet_id, reason } => acknowledgement(0x70, *packet_id, *reason, &mut body),
        Packet::SubAck { packet_id, granted } => {
            body.put_u16(*packet_id);
            body.extend(v5.then_some(0));
            body.extend(granted.iter().map(|granted| granted.map_or_else(|code| code, |qos| qos as u8)));
            0x90
        }
        Packet::UnsubAck { packet_id } => {
            body.put_u16(*packet_id);
            // No properties, and one code.
            body.extend(v5.then_some([0, 0]).into_iter().flatten());
            0xb0
        }
        Packet::PingResp => 0xd0,
        Packet::Disconnect { reason } => {
            body.put_u8(*reason);
            0xe0
        }
    };
    let mut bytes = vec![first];
    let mut length = body.len();
    while length > 0x7f {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(body);
    Some(bytes)
}

fn acknowledgement(first: u8, packet_id: u16, reason: u8, body: &mut Vec<u8>) -> u8 {
    body.put_u16(packet_id);
    body.extend((reason > 0).then_some(reason));
    first
}
