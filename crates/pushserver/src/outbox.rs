//! What has been handed to the broker and not been acknowledged yet, for QoS 1 and 2.

use crate::Message;
use std::collections::BTreeMap;

/// Messages that may wait for their acknowledgement at a time.
const IN_FLIGHT: usize = 4096;

/// Messages in flight by packet id.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    unacknowledged: BTreeMap<u16, Message>,
    last_id: u16,
}

impl Outbox {
    /// How many more messages may go out to a broker that takes so many at a time.
    pub(crate) fn room(&self, receive_maximum: u16) -> usize {
        IN_FLIGHT.min(receive_maximum.into()).saturating_sub(self.unacknowledged.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// Keeps a message until it is acknowledged, under a packet id that is free. There must be room.
    pub(crate) fn keep(&mut self, message: Message) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.unacknowledged.contains_key(&self.last_id) {
                self.unacknowledged.insert(self.last_id, message);
                return self.last_id;
            }
        }
    }

    /// The broker has the message.
    pub(crate) fn acknowledge(&mut self, packet_id: u16) {
        self.unacknowledged.remove(&packet_id);
    }

    /// All messages in flight, for sending them again on a new connection.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &Message)> {
        self.unacknowledged.iter().map(|(id, message)| (*id, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_ids_are_never_zero_and_never_used_twice() {
        let mut outbox = Outbox::default();
        let message = Message { body: bytes::Bytes::from_static(b"{}"), trace: None };
        let stuck = outbox.keep(message.clone());
        for _ in 0..200_000 {
            let id = outbox.keep(message.clone());
            assert!(id != 0 && id != stuck);
            outbox.acknowledge(id);
        }
        assert_eq!(outbox.room(u16::MAX), IN_FLIGHT - 1);
        outbox.acknowledge(stuck);
        assert!(outbox.is_empty());
    }
}
