//! How many workers pop at a time.
//!
//! Where messages come one by one, all workers wait at the queue, and each is taken at once. Where they come several at a time,
//! workers that wait side by side would split them up, and every pop costs a command, an answer and two switches between
//! processes: then one pops while the others wait, and takes more at a time. Where batches come back full, one is not
//! enough, and all pop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// From this many messages on, a pop has brought several.
const SEVERAL: usize = 3;

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
        Self { free: Arc::new(Semaphore::new(most)), open: Arc::new(AtomicUsize::new(most)), most }
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
        if (found <= 1 || found >= most) && now_open < *workers {
            open.store(now_open + 1, Ordering::Relaxed);
            free.add_permits(1);
        } else if (SEVERAL..most).contains(&found) && now_open > 1 {
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
    async fn one_worker_pops_while_several_messages_come_at_a_time() {
        let turns = Turns::new(4);
        let after = async |times: usize, found: usize| {
            for _ in 0..times {
                turns.take().await.end(found, 128);
            }
            turns.free.available_permits()
        };
        assert_eq!(after(1, 1).await, 4);
        assert_eq!(after(1, 5).await, 3);
        assert_eq!(after(9, 5).await, 1);
        // Two are neither one nor several.
        assert_eq!(after(3, 2).await, 1);
        assert_eq!(after(1, 1).await, 2);
        assert_eq!(after(1, 0).await, 3);
        assert_eq!(after(9, 127).await, 1);
        assert_eq!(after(9, 128).await, 4);
        drop(turns.take().await);
        assert_eq!(turns.free.available_permits(), 4);
    }
}
