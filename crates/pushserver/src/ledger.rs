//! What a worker has taken from the queue and what has become of it. Pure but for the channel of receipts.

use crate::message::Receipt;
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// What a worker knows of the messages that Redis holds for it, in their order: the oldest are done, then come some that it knows, and the rest is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reconciled {
    /// They were published and dropped once, and are there again.
    pub(crate) done: usize,
    /// They are in the ledger.
    pub(crate) known: usize,
}

/// Messages that a worker waits for, in the order in which it took them.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Their numbers rise, and none is given twice: a receipt may come for an entry that is gone.
    entries: VecDeque<Entry>,
    /// The number of the next entry.
    next: u64,
    in_flight: usize,
    worker: mpsc::UnboundedSender<u64>,
    // Never holds more receipts than there are entries.
    receipts: mpsc::UnboundedReceiver<u64>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// What it is called in Redis: an entry's id in a stream; in a list the message itself.
    key: Vec<u8>,
    published: bool,
}

impl Default for Ledger {
    fn default() -> Self {
        let (worker, receipts) = mpsc::unbounded_channel();
        Self { entries: VecDeque::new(), next: 0, in_flight: 0, worker, receipts }
    }
}

impl Ledger {
    /// Enters a message that has been taken.
    pub(crate) fn enter(&mut self, key: Vec<u8>) -> Receipt {
        let number = self.next;
        self.next += 1;
        self.entries.push_back(Entry { number, key, published: false });
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
        let at = self.entries.binary_search_by_key(&number, |entry| entry.number);
        if let Some(entry) = at.ok().and_then(|at| self.entries.get_mut(at))
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
        self.entries.drain(..count.min(self.entries.len()));
    }

    /// Compares with what Redis holds for this worker, in order, after an answer was lost: the last command may have
    /// struck `struck` messages or not, and may have added some. Or a replica has taken over for which the newest commands never happened: it
    /// holds messages that had been dropped, and lacks those that were taken last, which are in the queue again.
    ///
    /// None when the two have nothing to do with each other. Where messages may be alike (not `unique`), what could be new is taken for new.
    pub(crate) fn reconcile(&mut self, held: &[&[u8]], struck: usize, unique: bool) -> Option<Reconciled> {
        let struck = struck.min(self.entries.len());
        for struck in if unique { [0, struck] } else { [struck, 0] } {
            let known = self.entries.len() - struck;
            if held.len() >= known && self.is(struck, &held[..known]) {
                self.strike(struck);
                return Some(Reconciled { done: 0, known });
            }
        }
        // The longest match: what is known is dropped only once it is published.
        let fewest = held.len().saturating_sub(self.entries.len());
        let done = (fewest..held.len()).find(|done| self.is(0, &held[*done..]))?;
        let known = held.len() - done;
        for gone in self.entries.drain(known..) {
            self.in_flight -= usize::from(!gone.published);
        }
        Some(Reconciled { done, known })
    }

    /// Whether these are the entries from the given one on.
    fn is(&self, from: usize, keys: &[&[u8]]) -> bool {
        self.entries.iter().skip(from).map(|entry| entry.key.as_slice()).take(keys.len()).eq(keys.iter().copied())
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
            for unique in [true, false] {
                let (mut ledger, receipts) = ledger(&["a", "b", "c"]);
                publish(&receipts[0]);
                ledger.note_published();
                let held: Vec<&[u8]> = held.iter().map(|key| key.as_bytes()).collect();
                let known = known.map(|known| Reconciled { done: 0, known });
                assert_eq!(ledger.reconcile(&held, struck, unique), known, "{held:?}");
                assert_eq!(ledger.len(), left, "{held:?}");
            }
        };
        check(&["a", "b", "c"], 1, Some(3), 3);
        check(&["b", "c"], 1, Some(2), 2);
        check(&["b", "c", "d"], 1, Some(2), 2);
        check(&["a", "b", "c", "d"], 1, Some(3), 3);
        check(&["a", "b", "c", "d"], 0, Some(3), 3);
        check(&["d"], 3, Some(0), 0);
        check(&[], 1, None, 3);
        check(&["x", "y", "z"], 1, None, 3);
    }

    #[test]
    fn what_was_to_be_dropped_and_is_still_there_is_not_new_unless_it_may_be() {
        for (unique, known, left) in [(true, 3, 3), (false, 0, 0)] {
            let (mut ledger, _receipts) = ledger(&["a", "b", "c"]);
            let held = [b"a".as_slice(), b"b", b"c", b"d"];
            assert_eq!(ledger.reconcile(&held, 3, unique), Some(Reconciled { done: 0, known }));
            assert_eq!(ledger.len(), left);
        }
    }

    #[test]
    fn a_replica_that_has_taken_over_is_behind() {
        let check = |held: &[&str], expected: Option<(usize, usize)>, in_flight: usize| {
            let (mut ledger, receipts) = ledger(&["a", "b", "c"]);
            publish(&receipts[1]);
            ledger.note_published();
            let held: Vec<&[u8]> = held.iter().map(|key| key.as_bytes()).collect();
            let expected = expected.map(|(done, known)| Reconciled { done, known });
            assert_eq!(ledger.reconcile(&held, 1, true), expected, "{held:?}");
            assert_eq!(ledger.in_flight(), in_flight, "{held:?}");
            (ledger, receipts)
        };
        // y and z had been dropped; c had been taken, and is in the queue again.
        let (mut ledger, receipts) = check(&["y", "z", "a", "b"], Some((2, 2)), 1);
        // A receipt for what is gone is not one for what takes its place.
        let again = ledger.enter(b"c".to_vec());
        publish(&receipts[2]);
        publish(&receipts[0]);
        ledger.note_published();
        assert_eq!((ledger.settled().count(), ledger.in_flight()), (2, 1));
        publish(&again);
        ledger.note_published();
        assert_eq!((ledger.settled().count(), ledger.in_flight()), (3, 0));

        check(&["z", "a", "b", "c"], Some((1, 3)), 2);
        check(&["z", "a"], Some((1, 1)), 1);
        // Only what came last was lost.
        check(&["a", "b"], Some((0, 2)), 1);
        check(&["y", "z"], None, 2);
        check(&["z", "b", "c"], None, 2);
    }
}
