//! When each connection may send: at once in a closed loop, by the schedule in an open one.

use crate::schedule::{Schedule, SplitMix};
use crate::timer::Timer;
use stamp::clock;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Whoever waits looks this often whether the load has been ended meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// Hands out intended send times until the end of the load.
#[derive(Debug)]
pub(crate) struct Pace {
    begin: Instant,
    /// Nothing is sent from here on; it only ever comes nearer.
    end: Cell<Instant>,
    /// Requests that may still be handed out.
    left: Cell<u64>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Closed { think: Option<(Duration, Duration)>, random: RefCell<SplitMix> },
    Open(Open),
}

/// An open loop: requests become due whatever the connections do, and wait for one that is idle.
#[derive(Debug)]
struct Open {
    schedule: RefCell<Schedule>,
    due: RefCell<VecDeque<Instant>>,
    /// Wakes an idle connection for each request that becomes due.
    wake: Notify,
    idle: Cell<usize>,
    ended: Cell<bool>,
}

impl Pace {
    pub(crate) fn closed(
        begin: Instant,
        end: Instant,
        requests: Option<u64>,
        think: Option<(Duration, Duration)>,
        seed: u64,
    ) -> Self {
        let kind = Kind::Closed { think, random: RefCell::new(SplitMix::new(seed)) };
        Self { begin, end: Cell::new(end), left: Cell::new(requests.unwrap_or(u64::MAX)), kind }
    }

    pub(crate) fn open(begin: Instant, end: Instant, requests: Option<u64>, schedule: Schedule) -> Self {
        let open = Open {
            schedule: RefCell::new(schedule),
            due: RefCell::default(),
            wake: Notify::new(),
            idle: Cell::new(0),
            ended: Cell::new(false),
        };
        Self { begin, end: Cell::new(end), left: Cell::new(requests.unwrap_or(u64::MAX)), kind: Kind::Open(open) }
    }

    /// Nothing is sent from this moment on.
    pub(crate) fn end(&self) -> Instant {
        self.end.get()
    }

    /// Waits for this time, or until the load is at its end.
    pub(crate) async fn pause(&self, time: Duration) {
        let until = clock::now() + time;
        loop {
            let left = until.min(self.end()).saturating_duration_since(clock::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// Ends the load now.
    pub(crate) fn stop(&self) {
        self.end.set(self.end().min(clock::now()));
    }

    /// The intended time of the request that the caller sends next, which may lie in the past; none at the end of the load.
    pub(crate) async fn next_send(&self) -> Option<Instant> {
        match &self.kind {
            Kind::Closed { think, random } => {
                if let &Some((least, most)) = think {
                    let pause = random.borrow_mut().between(least, most);
                    self.pause(pause).await;
                }
                let now = clock::now();
                (now < self.end() && self.take_one()).then_some(now)
            }
            Kind::Open(open) => loop {
                // No request is sent after the end, however long it has waited: it counts as missed.
                if clock::now() >= self.end() {
                    return None;
                }
                if let Some(intended) = open.due.borrow_mut().pop_front() {
                    return Some(intended);
                }
                if open.ended.get() {
                    return None;
                }
                open.idle.set(open.idle.get() + 1);
                open.wake.notified().await;
                open.idle.set(open.idle.get() - 1);
            },
        }
    }

    /// Makes requests due at their time, until the end; calls `short` with the number of requests for which no connection
    /// is idle. Returns at once in a closed loop.
    pub(crate) async fn conduct(&self, mut short: impl FnMut(usize)) -> io::Result<()> {
        let Kind::Open(open) = &self.kind else { return Ok(()) };
        let timer = Timer::new()?;
        let mut intended = self.begin + open.schedule.borrow_mut().next_send();
        while intended < self.end() && self.left.get() > 0 {
            // Bit by bit, so that a load that is told to end does not wait for a request that is due in an hour.
            timer.wait_until(intended.min(clock::now() + LOOK)).await?;
            let now = clock::now();
            while intended <= now && intended < self.end() && self.take_one() {
                open.due.borrow_mut().push_back(intended);
                open.wake.notify_one();
                intended = self.begin + open.schedule.borrow_mut().next_send();
            }
            short(open.due.borrow().len().saturating_sub(open.idle.get()));
            // The connections get their turn even where the schedule is behind.
            tokio::task::yield_now().await;
        }
        // Where the next request is due beyond the end, the load lasts until then nevertheless: its rate is that of the whole time.
        while self.left.get() > 0 && clock::now() < self.end() {
            timer.wait_until(self.end().min(clock::now() + LOOK)).await?;
        }
        open.ended.set(true);
        open.wake.notify_waiters();
        Ok(())
    }

    /// Whether the number of requests has ended the load.
    pub(crate) fn is_used_up(&self) -> bool {
        self.left.get() == 0
    }

    /// Requests that were due and never sent.
    pub(crate) fn missed(&self) -> u64 {
        match &self.kind {
            Kind::Closed { .. } => 0,
            Kind::Open(open) => open.due.borrow().len() as u64,
        }
    }

    fn take_one(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}
