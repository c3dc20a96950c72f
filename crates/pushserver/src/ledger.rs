//! What a worker has taken from the queue and what has become of it. Pure but for the channel of receipts.

use crate::message::Receipt;
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// Messages that a worker waits for, in the order in which it took them.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    in_flight: usize,
    worker: mpsc::UnboundedSender<u64>,
    // Never holds more receipts than there are entries.
    receipts: mpsc::UnboundedReceiver<u64>,
}

#[derive(Debug)]
struct Entry {
    /// What it is called in Redis: an entry's id in a stream; in a list the message itself.
    key: Vec<u8>,
    published: bool,
}

impl Default for Ledger {
    fn default() -> Self {
        let (worker, receipts) = mpsc::unbounded_channel();
        Self { entries: VecDeque::new(), first: 0, in_flight: 0, worker, receipts }
    }
}

impl Ledger {
    /// Enters a message that has been taken.
    pub(crate) fn enter(&mut self, key: Vec<u8>) -> Receipt {
        let number = self.first + self.entries.len() as u64;
        self.entries.push_back(Entry { key, published: false });
        self.in_flight += 1;
        Receipt { worker: self.worker.clone(), number }
    }

    /// Messages in it.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Messages that are not published yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Waits until at least one more message is published. Nothing is lost when the future is dropped.
    pub(crate) async fn more_published(&mut self) {
        // The sender lives as long as self: there is no end.
        if let Some(number) = self.receipts.recv().await {
            self.note(number);
        }
        self.note_published();
    }

    /// Notes what has been published so far.
    pub(crate) fn note_published(&mut self) {
        while let Ok(number) = self.receipts.try_recv() {
            self.note(number);
        }
    }

    fn note(&mut self, number: u64) {
        let entry = number.checked_sub(self.first).and_then(|at| self.entries.get_mut(usize::try_from(at).ok()?));
        if let Some(entry) = entry
            && !std::mem::replace(&mut entry.published, true)
        {
            self.in_flight -= 1;
        }
    }

    /// The oldest messages, as far as all are published: these may leave the queue.
    pub(crate) fn settled(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.entries.iter().take_while(|entry| entry.published).map(|entry| entry.key.as_slice())
    }

    /// The oldest `count` messages, all published, have left the queue.
    pub(crate) fn strike(&mut self, count: usize) {
        self.first += self.entries.drain(..count.min(self.entries.len())).len() as u64;
    }

    /// Compares with what Redis holds for this worker, in order, after an answer was lost: the last command may have
    /// struck `struck` messages or not, and may have added some. Gives how many of Redis's are known; none when
    /// the two have nothing to do with each other.
    pub(crate) fn reconcile<'a>(
        &mut self,
        held: &(impl ExactSizeIterator<Item = &'a [u8]> + Clone),
        struck: usize,
    ) -> Option<usize> {
        for struck in [struck, 0] {
            let known = self.entries.len() - struck.min(self.entries.len());
            let ours = self.entries.iter().skip(struck).map(|entry| entry.key.as_slice());
            if held.len() >= known && ours.eq(held.clone().take(known)) {
                self.strike(struck);
                return Some(known);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(keys: &[&str]) -> (Ledger, Vec<Receipt>) {
        let mut ledger = Ledger::default();
        let receipts = keys.iter().map(|key| ledger.enter(key.as_bytes().to_vec())).collect();
        (ledger, receipts)
    }

    fn publish(receipt: &Receipt) {
        receipt.worker.send(receipt.number).unwrap();
    }

    #[test]
    fn only_the_oldest_leave_and_only_when_published() {
        let (mut ledger, receipts) = ledger(&["a", "b", "c"]);
        publish(&receipts[1]);
        ledger.note_published();
        assert_eq!((ledger.settled().count(), ledger.in_flight()), (0, 2));
        publish(&receipts[0]);
        publish(&receipts[0]);
        ledger.note_published();
        assert_eq!((ledger.settled().collect::<Vec<_>>(), ledger.in_flight()), (vec![b"a".as_slice(), b"b"], 1));
        ledger.strike(2);
        assert_eq!(ledger.len(), 1);
        publish(&receipts[2]);
        ledger.note_published();
        assert_eq!((ledger.settled().count(), ledger.in_flight()), (1, 0));
    }

    #[test]
    fn a_lost_answer_is_reconciled_with_what_redis_holds() {
        let check = |held: &[&str], struck: usize, known: Option<usize>, left: usize| {
            let (mut ledger, receipts) = ledger(&["a", "b", "c"]);
            publish(&receipts[0]);
            ledger.note_published();
            let held: Vec<&[u8]> = held.iter().map(|key| key.as_bytes()).collect();
            assert_eq!(ledger.reconcile(&held.iter().copied(), struck), known, "{held:?}");
            assert_eq!(ledger.len(), left, "{held:?}");
        };
        check(&["a", "b", "c"], 1, Some(3), 3);
        check(&["b", "c"], 1, Some(2), 2);
        check(&["b", "c", "d"], 1, Some(2), 2);
        check(&["a", "b", "c", "d"], 1, Some(3), 3);
        check(&["a", "b", "c", "d"], 0, Some(3), 3);
        check(&[], 1, None, 3);
        check(&["x", "y", "z"], 1, None, 3);
    }
}
