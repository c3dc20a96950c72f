//! The packets that a broker sends.

use bytes::Bytes;
use rumqttc::QoS;

/// A packet from the broker. Of what MQTT 5 adds, the reason codes are kept; properties are passed over, except those of
/// CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The answer to CONNECT.
    ConnAck(ConnAck),
    /// A message.
    Publish(Publish),
    /// The broker has a QoS 1 message; from 0x80 on, `reason` says why it does not want it.
    PubAck {
        /// The message.
        packet_id: u16,
        /// 0 in MQTT 3.1.1.
        reason: u8,
    },
    /// The broker has a QoS 2 message; from 0x80 on, `reason` says why it does not want it, and the exchange is over.
    PubRec {
        /// The message.
        packet_id: u16,
        /// 0 in MQTT 3.1.1.
        reason: u8,
    },
    /// The broker will not send this QoS 2 message again.
    PubRel {
        /// The message.
        packet_id: u16,
    },
    /// The end of a QoS 2 exchange.
    PubComp {
        /// The message.
        packet_id: u16,
        /// 0 in MQTT 3.1.1; 0x92 when the broker does not know the message (any more).
        reason: u8,
    },
    /// The answer to SUBSCRIBE.
    SubAck {
        /// That of the SUBSCRIBE.
        packet_id: u16,
        /// The quality of service that each filter got, or the reason why it got none.
        granted: Vec<Result<QoS, u8>>,
    },
    /// The answer to UNSUBSCRIBE.
    UnsubAck {
        /// That of the UNSUBSCRIBE.
        packet_id: u16,
    },
    /// The answer to a ping.
    PingResp,
    /// The broker ends the connection (MQTT 5 only).
    Disconnect {
        /// Why.
        reason: u8,
    },
}

/// A message from the broker. Topic and payload are parts of the buffer that they arrived in, not copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The topic, as the broker sent it: never empty, not checked to be UTF-8.
    pub topic: Bytes,
    /// The message itself.
    pub payload: Bytes,
    /// How it was sent.
    pub qos: QoS,
    /// What acknowledgements name it by; 0 at QoS 0.
    pub packet_id: u16,
    /// The broker may have sent it before.
    pub duplicate: bool,
}

/// The answer to CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnAck {
    /// The broker still knew the session.
    pub session_present: bool,
    /// 0, or why the broker refuses.
    pub code: u8,
    /// How many QoS 1 and 2 messages may be on their way to the broker at a time.
    pub receive_maximum: u16,
    /// The largest packet that the broker takes, in bytes.
    pub largest_packet: usize,
    /// The highest quality of service that the broker takes messages at.
    pub highest_qos: QoS,
    /// How long the broker lets the client be silent, in seconds, if it does not leave that to the client.
    pub keep_alive: Option<u16>,
}
