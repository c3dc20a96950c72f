//! What an MQTT 5 broker says about a message that it was sent.

/// The MQTT 5 reason of a broker that took a message to which nobody subscribes.
pub(crate) const NO_MATCHING_SUBSCRIBERS: u8 = 0x10;

/// MQTT 5 reasons from here on say that the broker has refused the message.
pub(crate) const REFUSED: u8 = 0x80;

/// Of these, the ones that say nothing about the message itself, and pass: no right to publish, a packet id that is in use, a quota.
const OF_THE_CLIENT: [u8; 3] = [0x87, 0x91, 0x97];

/// Whether the broker will not take this message, now or later.
pub(crate) fn is_final(reason: u8) -> bool {
    reason >= REFUSED && !OF_THE_CLIENT.contains(&reason)
}

/// What the reasons mean that a broker refuses a message with.
pub(crate) fn meaning(reason: u8) -> &'static str {
    match reason {
        0x90 => ": it does not accept the topic",
        0x95 => ": it is larger than the broker takes",
        0x99 => ": its content is not what the broker expects",
        _ => "",
    }
}
