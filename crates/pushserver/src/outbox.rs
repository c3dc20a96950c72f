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

    /// Keeps a message until it is acknowledged, and gives its packet id; gives it back when there is no room.
    pub(crate) fn keep(&mut self, message: Message) -> Result<u16, Box<Message>> {
        let Some(id) = self.free.pop_front() else { return Err(Box::new(message)) };
        self.sent += 1;
        self.slots[usize::from(id) - 1] = Some((self.sent, message));
        Ok(id)
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
        Message {
            body: bytes::Bytes::from_static(body.as_bytes()),
            trace: None,
            taken: stamp::clock::now(),
            receipt: None,
        }
    }

    #[test]
    fn packet_ids_are_never_zero_and_never_used_twice() {
        let mut outbox = Outbox::default();
        let stuck = outbox.keep(message("stuck")).unwrap();
        for _ in 0..100_000 {
            let id = outbox.keep(message("other")).unwrap();
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
        let first = outbox.keep(message("first")).unwrap();
        for _ in 1..IN_FLIGHT {
            outbox.keep(message("other")).unwrap();
        }
        assert_eq!(outbox.keep(message("too many")).unwrap_err().body, "too many");
        outbox.acknowledge(first);
        outbox.keep(message("last")).unwrap();
        let drained = outbox.drain();
        assert_eq!((drained.len(), drained.last().unwrap().body.as_ref()), (IN_FLIGHT.into(), b"last".as_slice()));
        assert!(outbox.is_empty());
    }
}
