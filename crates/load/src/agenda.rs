//! Who waits until when: one exact timer wakes them all. tokio's own counts whole milliseconds, which would all be added to response times.

use crate::timer::Timer;
use stamp::clock;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::io;
use std::task::{Poll, Waker};
use std::time::Instant;
use tokio::sync::Notify;

/// Moments for which tasks wait. All of them live on one thread.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    waiting: RefCell<BinaryHeap<Reverse<Entry>>>,
    /// The moment for which the timer is set.
    armed: Cell<Option<Instant>>,
    /// An earlier moment has come on the list.
    earlier: Notify,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    waker: Waker,
}

impl Agenda {
    /// Waits until `moment()`, which may only ever come nearer; whoever moves it says so by [`wake_all`](Self::wake_all).
    pub(crate) async fn until(&self, moment: impl Fn() -> Instant) {
        let mut listed = false;
        poll_fn(|context| {
            let at = moment();
            if clock::now() >= at {
                return Poll::Ready(());
            }
            if !listed {
                listed = true;
                self.waiting.borrow_mut().push(Reverse(Entry { at, waker: context.waker().clone() }));
                if self.armed.get().is_none_or(|armed| at < armed) {
                    self.earlier.notify_one();
                }
            }
            Poll::Pending
        })
        .await;
    }

    /// Wakes whoever waits, so that each looks at its moment again.
    pub(crate) fn wake_all(&self) {
        self.waiting.borrow_mut().drain().for_each(|Reverse(entry)| entry.waker.wake());
    }

    /// Wakes everybody in time, until it is dropped.
    /// Fails when the system gives no timer.
    pub(crate) async fn conduct(&self) -> io::Result<()> {
        let timer = Timer::new()?;
        loop {
            let next = self.waiting.borrow().peek().map(|Reverse(entry)| entry.at);
            self.armed.set(next);
            match next {
                None => self.earlier.notified().await,
                Some(at) => tokio::select! {
                    woken = timer.wait_until(at) => woken?,
                    () = self.earlier.notified() => {}
                },
            }
            let now = clock::now();
            let mut waiting = self.waiting.borrow_mut();
            while waiting.peek().is_some_and(|Reverse(entry)| entry.at <= now) {
                if let Some(Reverse(entry)) = waiting.pop() {
                    entry.waker.wake();
                }
            }
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;
    use std::time::Duration;
    use tokio::task::LocalSet;

    #[tokio::test]
    async fn whoever_waits_is_woken_in_order_and_never_early() {
        let (agenda, woken) = (Rc::new(Agenda::default()), Rc::new(RefCell::new(Vec::new())));
        let local = LocalSet::new();
        let begin = clock::now();
        for ms in [30u64, 10, 20, 10] {
            let (agenda, woken) = (agenda.clone(), woken.clone());
            local.spawn_local(async move {
                let at = begin + Duration::from_millis(ms);
                agenda.until(|| at).await;
                assert!(clock::now() >= at);
                woken.borrow_mut().push(ms);
            });
        }
        let conductor = agenda.clone();
        local
            .run_until(async {
                let _conducting = tokio::task::spawn_local(async move { conductor.conduct().await });
                agenda.until(|| begin + Duration::from_millis(40)).await;
            })
            .await;
        assert_eq!(*woken.borrow(), [10, 10, 20, 30]);
    }

    #[tokio::test]
    async fn a_moment_that_comes_nearer_ends_the_wait() {
        let (agenda, begin) = (Rc::new(Agenda::default()), clock::now());
        let moment = Rc::new(Cell::new(begin + Duration::from_secs(3600)));
        let local = LocalSet::new();
        let waits = (agenda.clone(), moment.clone());
        let waiting = local.spawn_local(async move { waits.0.until(|| waits.1.get()).await });
        local.run_until(tokio::task::yield_now()).await;
        moment.set(begin);
        agenda.wake_all();
        local.run_until(waiting).await.unwrap();
    }
}
