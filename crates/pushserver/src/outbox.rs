//! What has been handed to the broker and not been acknowledged yet, for QoS 1 and 2.

use crate::message::Message;
use std::collections::VecDeque;

/// Messages that may wait for their acknowledgement at a time.
pub(crate) const IN_FLIGHT: u16 = 4096;

/// Messages in flight by packet id.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// The packet id is the index and one; beside each message how many went out before it.
    slots: Vec<Option<(u64, Message)>>,
    /// Packet ids that are free. The one that has been free for longest is used first.
    free: VecDeque<u16>,
    sent: u64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { slots: (0..IN_FLIGHT).map(|_| None).collect(), free: (1..=IN_FLIGHT).collect(), sent: 0 }
    }
}

impl Outbox {
    /// How many messages are in flight.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The packet id that the next message gets; 0 where there is no room.
    pub(crate) fn next_id(&self) -> u16 {
        self.free.front().copied().unwrap_or(0)
    }

    /// Keeps a message until it is acknowledged, under [`Outbox::next_id`]. There must be room.
    pub(crate) fn keep(&mut self, message: Message) {
        if let Some(id) = self.free.pop_front() {
            self.sent += 1;
            self.slots[usize::from(id) - 1] = Some((self.sent, message));
        }
    }

    pub(crate) fn get_mut(&mut self, packet_id: u16) -> Option<&mut Message> {
        let slot = self.slots.get_mut(usize::from(packet_id).checked_sub(1)?)?;
        slot.as_mut().map(|(_, message)| message)
    }

    /// The broker has the message. None for a packet id that is not in flight.
    pub(crate) fn acknowledge(&mut self, packet_id: u16) -> Option<Message> {
        let (_, message) = self.slots.get_mut(usize::from(packet_id).checked_sub(1)?)?.take()?;
        self.free.push_back(packet_id);
        Some(message)
    }

    /// Empties it, and gives the messages in the order in which they went out.
    pub(crate) fn drain(&mut self) -> Vec<Message> {
        let mut messages: Vec<_> = std::mem::take(self).slots.into_iter().flatten().collect();
        messages.sort_unstable_by_key(|(sent, _)| *sent);
        messages.into_iter().map(|(_, message)| message).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &'static str) -> Message {
        Message::untraced(bytes::Bytes::from_static(body.as_bytes()))
    }

    fn keep(outbox: &mut Outbox, body: &'static str) -> u16 {
        let id = outbox.next_id();
        outbox.keep(message(body));
        id
    }

    #[test]
    fn packet_ids_are_never_zero_and_never_used_twice() {
        let mut outbox = Outbox::default();
        let stuck = keep(&mut outbox, "stuck");
        for _ in 0..100_000 {
            let id = keep(&mut outbox, "other");
            assert!(id != 0 && id != stuck);
            assert!(outbox.acknowledge(id).is_some() && outbox.acknowledge(id).is_none());
        }
        assert_eq!(outbox.len(), 1);
        assert_eq!(outbox.acknowledge(stuck).unwrap().body, "stuck");
        assert!(outbox.is_empty() && outbox.acknowledge(0).is_none() && outbox.acknowledge(u16::MAX).is_none());
    }

    #[test]
    fn it_is_bounded_and_gives_back_in_order() {
        let mut outbox = Outbox::default();
        let first = keep(&mut outbox, "first");
        for _ in 1..IN_FLIGHT {
            assert_ne!(keep(&mut outbox, "other"), 0);
        }
        assert_eq!(outbox.next_id(), 0);
        outbox.acknowledge(first);
        keep(&mut outbox, "last");
        let drained = outbox.drain();
        assert_eq!((drained.len(), drained.last().unwrap().body.as_ref()), (IN_FLIGHT.into(), b"last".as_slice()));
        assert!(outbox.is_empty());
    }
}
