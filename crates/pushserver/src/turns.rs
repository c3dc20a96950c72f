//! How many workers pop at a time: as many as the queue keeps busy.
//!
//! Workers that all wait at an almost empty queue each get a message or two, and each costs a command, an answer and two
//! switches between processes. So two pop at first, while the others wait; another joins when a batch
//! comes back full, and leaves when batches come back half empty.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// Workers that pop even where the queue is almost empty: one waits for messages while the other takes in what it got.
const AT_FIRST: usize = 2;

/// The turns of all workers of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    free: Arc<Semaphore>,
    /// Turns that there are, free or taken.
    open: Arc<AtomicUsize>,
    most: usize,
}

/// The right to pop once. Dropped without an end, it is free again.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
}

impl Turns {
    /// For at most this many workers at a time.
    pub(crate) fn new(most: usize) -> Self {
        let open = AT_FIRST.min(most);
        Self { free: Arc::new(Semaphore::new(open)), open: Arc::new(AtomicUsize::new(open)), most }
    }

    /// Waits for a turn.
    pub(crate) async fn take(&self) -> Turn<'_> {
        // The semaphore is never closed.
        if let Ok(permit) = self.free.acquire().await {
            permit.forget();
        }
        Turn { turns: self }
    }
}

impl Turn<'_> {
    /// Ends a turn that has brought `found` of `most` messages. All workers live on one thread.
    pub(crate) fn end(self, found: usize, most: usize) {
        let Turns { free, open, most: workers } = self.turns;
        let now_open = open.load(Ordering::Relaxed);
        if found >= most && now_open < *workers {
            open.store(now_open + 1, Ordering::Relaxed);
            free.add_permits(1);
        } else if 2 * found < most && now_open > AT_FIRST {
            open.store(now_open - 1, Ordering::Relaxed);
            // This turn is gone.
            std::mem::forget(self);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.free.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn full_batches_bring_more_workers_and_half_empty_ones_send_them_away() {
        let turns = Turns::new(4);
        let free = || turns.free.available_permits();
        turns.take().await.end(128, 128);
        assert_eq!(free(), 3);
        for _ in 0..5 {
            turns.take().await.end(128, 128);
        }
        assert_eq!(free(), 4);
        turns.take().await.end(64, 128);
        assert_eq!(free(), 4);
        for _ in 0..5 {
            turns.take().await.end(1, 128);
        }
        assert_eq!(free(), 2);
        drop(turns.take().await);
        assert_eq!(free(), 2);
        let taken = turns.take().await;
        assert_eq!(free(), 1);
        drop(taken);
        assert_eq!(Turns::new(1).free.available_permits(), 1);
    }
}
