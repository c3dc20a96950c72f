//! The codec: what it writes it reads again, and whatever else comes is refused without a panic.

use super::decode::{ProtocolError, decode};
use super::encode::Login;
use super::encode::{self, Connect, LARGEST_PACKET, Outgoing, Unsendable};
use super::packet::{Packet, Publish};
use super::version::Version;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

const VERSIONS: [Version; 2] = [Version::V3, Version::V5];
const QUALITIES: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn published(version: Version, message: Outgoing<'_>) -> BytesMut {
    let mut bytes = BytesMut::new();
    encode::publish(version, message, LARGEST_PACKET, &mut bytes).unwrap();
    bytes
}

fn message(payload: &[u8]) -> Outgoing<'_> {
    Outgoing { topic: "/channel", qos: QoS::AtMostOnce, packet_id: 0, duplicate: false, payload, property: None }
}

fn all(version: Version, bytes: &[u8]) -> Result<Vec<Packet>, ProtocolError> {
    let mut buffer = BytesMut::from(bytes);
    let mut packets = Vec::new();
    while let Some(packet) = decode(version, &mut buffer)? {
        packets.push(packet);
    }
    Ok(packets)
}

#[test]
fn lengths_of_one_to_four_bytes_come_back_and_rumqttc_reads_the_same() {
    for version in VERSIONS {
        // Around each size at which the length takes one more byte.
        for size in [0, 1, 116, 117, 118, 16_371, 16_372, 16_373, 16_374, 2_097_140, 2_097_141, 2_097_142, 2_097_143] {
            let payload = vec![b'x'; size];
            let bytes = published(version, message(&payload));
            let packets = all(version, &bytes).unwrap();
            let [Packet::Publish(publish)] = &packets[..] else { panic!("{version} {size}: {packets:?}") };
            assert_eq!((&publish.topic[..], publish.payload.len()), (&b"/channel"[..], size));
            let theirs = match version {
                Version::V3 => match v4::Packet::read(&mut bytes.clone(), usize::MAX).unwrap() {
                    v4::Packet::Publish(publish) => publish.payload,
                    packet => panic!("{packet:?}"),
                },
                Version::V5 => match v5::Packet::read(&mut bytes.clone(), None).unwrap() {
                    v5::Packet::Publish(publish) => publish.payload,
                    packet => panic!("{packet:?}"),
                },
            };
            assert_eq!(theirs, payload);
        }
    }
}

#[test]
fn what_mqtt_5_adds_is_passed_over() {
    for (bytes, packet) in [
        // A content type among the properties of a message.
        (
            &b"\x3a\x0d\x00\x01t\x00\x07\x05\x03\x00\x02ab{}"[..],
            Packet::Publish(Publish {
                topic: Bytes::from_static(b"t"),
                payload: Bytes::from_static(b"{}"),
                qos: QoS::AtLeastOnce,
                packet_id: 7,
                duplicate: true,
            }),
        ),
        (b"\x40\x02\x01\x02", Packet::PubAck { packet_id: 258, reason: 0 }),
        (b"\x40\x03\x01\x02\x10", Packet::PubAck { packet_id: 258, reason: 0x10 }),
        (b"\x50\x08\x01\x02\x97\x04\x1f\x00\x01x", Packet::PubRec { packet_id: 258, reason: 0x97 }),
        (b"\x62\x04\x00\x01\x92\x00", Packet::PubRel { packet_id: 1 }),
        (b"\x70\x03\x00\x01\x92", Packet::PubComp { packet_id: 1, reason: 0x92 }),
        (
            b"\x90\x05\x00\x01\x00\x02\x9e",
            Packet::SubAck { packet_id: 1, granted: vec![Ok(QoS::ExactlyOnce), Err(0x9e)] },
        ),
        (b"\xb0\x04\x00\x02\x00\x11", Packet::UnsubAck { packet_id: 2 }),
        (b"\xe0\x00", Packet::Disconnect { reason: 0 }),
        (b"\xe0\x01\x8b", Packet::Disconnect { reason: 0x8b }),
        (b"\xe0\x06\x8b\x04\x1f\x00\x01x", Packet::Disconnect { reason: 0x8b }),
    ] {
        assert_eq!(all(Version::V5, bytes), Ok(vec![packet]), "{bytes:02x?}");
    }
}

#[test]
fn the_broker_sets_limits_in_its_answer_to_connect() {
    let connack = |version, bytes: &[u8]| match all(version, bytes).as_deref() {
        Ok([Packet::ConnAck(answer)]) => Some(*answer),
        _ => None,
    };
    let plain = connack(Version::V3, b"\x20\x02\x01\x00").unwrap();
    assert_eq!((plain.session_present, plain.code, plain.receive_maximum), (true, 0, 65535));
    let told = b"\x20\x10\x00\x00\x0d\x21\x00\x14\x24\x01\x27\x00\x00\x02\x00\x13\x00\x06";
    let told = connack(Version::V5, told).unwrap();
    assert_eq!((told.receive_maximum, told.highest_qos, told.largest_packet), (20, QoS::AtLeastOnce, 512));
    assert_eq!((told.keep_alive, told.session_present), (Some(6), false));
    // A broker of 3.1.1 refuses MQTT 5 in its own form.
    assert_eq!(connack(Version::V5, b"\x20\x02\x00\x01").unwrap().code, 1);
    assert_eq!(connack(Version::V5, b"\x20\x03\x00\x87\x00").unwrap().code, 0x87);
    // A receive maximum of 0 would let nothing through, for ever.
    assert_eq!(connack(Version::V5, b"\x20\x06\x00\x00\x03\x21\x00\x00"), None);
}

#[test]
fn malformed_packets_are_refused() {
    use ProtocolError::{Kind, Length, Malformed};
    for (version, bytes, error) in [
        (Version::V3, &b"HTTP/1.1 400 Bad Request"[..], Kind(b'H')),
        (Version::V3, b"\x00", Kind(0)),
        (Version::V3, b"\x60\x02\x00\x01", Kind(0x60)),
        (Version::V3, b"\xe0\x00", Kind(0xe0)),
        (Version::V3, b"\x30\xff\xff\xff\xff", Length),
        (Version::V3, b"\x36\x07\x00\x01t\x00\x01{}", Malformed("PUBLISH")),
        (Version::V3, b"\x38\x03\x00\x01t", Malformed("PUBLISH")),
        (Version::V3, b"\x30\x00", Malformed("PUBLISH")),
        (Version::V3, b"\x30\x01\x00", Malformed("PUBLISH")),
        (Version::V3, b"\x30\x03\x00\x02t", Malformed("PUBLISH")),
        (Version::V3, b"\x30\x02\x00\x00", Malformed("PUBLISH")),
        (Version::V3, b"\x32\x04\x00\x01t\x00", Malformed("PUBLISH")),
        (Version::V3, b"\x32\x05\x00\x01t\x00\x00", Malformed("PUBLISH")),
        (Version::V5, b"\x30\x03\x00\x01t", Malformed("PUBLISH")),
        (Version::V5, b"\x30\x05\x00\x01t\x02\x00", Malformed("PUBLISH")),
        (Version::V3, b"\x40\x01\x00", Malformed("PUBACK")),
        (Version::V3, b"\x40\x02\x00\x00", Malformed("PUBACK")),
        (Version::V3, b"\x40\x03\x00\x01\x00", Malformed("PUBACK")),
        (Version::V5, b"\x50\x05\x00\x01\x00\x00\x00", Malformed("PUBREC")),
        (Version::V3, b"\x90\x02\x00\x01", Malformed("SUBACK")),
        (Version::V3, b"\x90\x03\x00\x01\x03", Malformed("SUBACK")),
        (Version::V3, b"\xb0\x03\x00\x01\x00", Malformed("UNSUBACK")),
        (Version::V3, b"\xd0\x01\x00", Malformed("PINGRESP")),
        (Version::V3, b"\x20\x01\x00", Malformed("CONNACK")),
        (Version::V3, b"\x20\x02\x02\x00", Malformed("CONNACK")),
        (Version::V5, b"\x20\x02\x00\x00", Malformed("CONNACK")),
        (Version::V5, b"\x20\x05\x00\x00\x02\x21\x00", Malformed("CONNACK")),
    ] {
        assert_eq!(all(version, bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn what_cannot_be_sent_leaves_nothing_in_the_buffer() {
    let long = "x".repeat(65_536);
    let mut buffer = BytesMut::new();
    let cases = [
        (Outgoing { topic: &long, ..message(b"") }, 1000, Unsendable::TooLong("topic")),
        (Outgoing { qos: QoS::AtLeastOnce, ..message(b"") }, 1000, Unsendable::PacketIdZero),
        (message(b"12"), 13, Unsendable::TooLarge { size: 14, largest: 13 }),
    ];
    for (message, largest, error) in cases {
        assert_eq!(encode::publish(Version::V3, message, largest, &mut buffer), Err(error));
    }
    assert_eq!(
        encode::subscribe(Version::V5, 1, &long, QoS::AtMostOnce, &mut buffer),
        Err(Unsendable::TooLong("topic filter"))
    );
    let login = Login { user: "me".to_owned(), password: long };
    let connect = Connect { client_id: "x", keep_alive_seconds: 1, keep_session_seconds: None, login: Some(&login) };
    assert_eq!(encode::connect(Version::V3, &connect, &mut buffer), Err(Unsendable::TooLong("password")));
    assert!(buffer.is_empty());
    encode::publish(Version::V3, message(b"12"), 14, &mut buffer).unwrap();
    assert_eq!(buffer.len(), 14);
}

proptest! {
    #[test]
    fn messages_come_back_in_whatever_pieces_they_arrive(
        version in prop::sample::select(&VERSIONS[..]),
        property in prop::option::of(Just(("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))),
        messages in prop::collection::vec((1..40_usize, 0..3_usize, 1..=u16::MAX, any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 1..8),
        piece in 1..400_usize,
    ) {
        let mut bytes = BytesMut::new();
        let mut expected = Vec::new();
        for (topic, qos, packet_id, duplicate, payload) in &messages {
            let (topic, qos) = ("t".repeat(*topic), QUALITIES[*qos]);
            let message = Outgoing { topic: &topic, qos, packet_id: *packet_id, duplicate: *duplicate, payload, property };
            encode::publish(version, message, LARGEST_PACKET, &mut bytes).unwrap();
            let acknowledged = qos != QoS::AtMostOnce;
            expected.push(Packet::Publish(Publish {
                topic: topic.into(),
                payload: payload.clone().into(),
                qos,
                packet_id: if acknowledged { *packet_id } else { 0 },
                duplicate: acknowledged && *duplicate,
            }));
            encode::acknowledge(encode::PUBREL, *packet_id, &mut bytes);
            expected.push(Packet::PubRel { packet_id: *packet_id });
        }
        let (mut buffer, mut packets) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(packet) = decode(version, &mut buffer).unwrap() {
                packets.push(packet);
            }
        }
        prop_assert_eq!(packets, expected);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn no_bytes_make_it_panic(version in prop::sample::select(&VERSIONS[..]), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = all(version, &bytes);
    }

    /// Random bytes rarely begin like a packet: these do, with a length that fits.
    #[test]
    fn no_content_of_a_packet_makes_it_panic(
        version in prop::sample::select(&VERSIONS[..]),
        first in prop::sample::select(&b"\x20\x30\x32\x34\x3a\x40\x50\x62\x70\x90\xb0\xd0\xe0"[..]),
        body in prop::collection::vec(prop_oneof![0..40_u8, any::<u8>()], 0..120),
    ) {
        let mut bytes = vec![first, u8::try_from(body.len()).unwrap()];
        bytes.extend(body);
        if let Ok(packets) = all(version, &bytes) {
            prop_assert_eq!(packets.len(), 1);
        }
    }
}
