//! When each user may begin a round: at once in a closed loop, by the schedule in an open one.

use crate::schedule::Schedule;
use crate::timer::Timer;
use crate::together::Fence;
use stamp::clock;
use std::cell::{Cell, RefCell};
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Whoever waits looks this often whether the load has been ended meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// What a timer may be late on a busy machine.
const JUST: Duration = Duration::from_millis(5);

/// Longer than any load.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Hands out when rounds are meant to begin, until the end of the load.
#[derive(Debug)]
pub(crate) struct Pace {
    begin: Cell<Instant>,
    /// No round begins from here on.
    end: Cell<Instant>,
    /// Rounds, or requests, that end the load.
    limit: Option<u64>,
    /// Those of them that may still be begun.
    left: Cell<u64>,
    fence: Option<Fence>,
    open: Option<Open>,
}

/// An open loop: rounds become due whatever the users do, and wait for one who is idle.
#[derive(Debug)]
struct Open {
    /// What becomes due next.
    schedule: RefCell<Schedule>,
    /// The same from the first round on that is due and has not begun: moments are made again rather than kept, as memory would grow with what waits.
    waiting: RefCell<Schedule>,
    /// Rounds from there on that are due.
    due: Cell<u64>,
    /// Wakes an idle user for each round that becomes due.
    wake: Notify,
    idle: Cell<usize>,
    ended: Cell<bool>,
}

impl Pace {
    /// With a schedule it is an open loop. It begins now, and lasts until it is told when to [`begin`](Self::begin); the limit is that of what
    /// follows [`count`](Self::count).
    pub(crate) fn new(limit: Option<u64>, schedule: Option<Schedule>, fence: Option<Fence>) -> Self {
        let open = schedule.map(|schedule| Open {
            waiting: RefCell::new(schedule.clone()),
            schedule: RefCell::new(schedule),
            due: Cell::new(0),
            wake: Notify::new(),
            idle: Cell::new(0),
            ended: Cell::new(false),
        });
        let now = clock::now();
        let (begin, end) = (Cell::new(now), Cell::new(now + FOREVER));
        Self { begin, end, limit, left: Cell::new(u64::MAX), fence, open }
    }

    /// Rounds, or requests, count from now on.
    pub(crate) fn count(&self) {
        self.left.set(self.limit.unwrap_or(u64::MAX));
    }

    /// The load begins at this moment: its schedule counts from here, and no round begins after `lasts`.
    pub(crate) fn begin(&self, at: Instant, lasts: Duration) {
        self.begin.set(at);
        self.end.set(self.end().min(at + lasts));
    }

    /// When the load began.
    pub(crate) fn begun(&self) -> Instant {
        self.begin.get()
    }

    /// No round begins from this moment on.
    pub(crate) fn end(&self) -> Instant {
        self.end.get()
    }

    /// Ends the load now. What has only just become due had no time to be begun: it is not missed.
    pub(crate) fn stop(&self) {
        let now = clock::now();
        if let Some(open) = &self.open {
            // Whoever waited before the end does so after it.
            if now < self.end() {
                let mut waiting = open.waiting.borrow().clone();
                let waited = (0..open.due.get()).take_while(|_| self.begun() + waiting.next_send() + JUST <= now);
                open.due.set(waited.count() as u64);
            }
            open.wake.notify_waiters();
        }
        self.end.set(self.end().min(now));
    }

    /// Whether this generator may no longer send: the load ends then.
    pub(crate) fn is_fenced(&self) -> bool {
        let Some(fence) = &self.fence else { return false };
        let is_fenced = fence.has_passed();
        if is_fenced {
            self.stop();
        }
        is_fenced
    }

    /// Whether rounds become due by a schedule.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// When the round is meant to begin that a user begins next, who is free since `free`: in an open loop that may lie further back. None at
    /// the end of the load.
    pub(crate) async fn next_round(&self, free: Instant) -> Option<Instant> {
        let Some(open) = &self.open else {
            return (!self.is_fenced() && free < self.end() && self.take_one()).then_some(free);
        };
        loop {
            // No round begins after the end, however long it has waited: it counts as missed.
            if self.is_fenced() || clock::now() >= self.end() {
                return None;
            }
            if let Some(others) = open.due.get().checked_sub(1) {
                open.due.set(others);
                return Some(self.begun() + open.waiting.borrow_mut().next_send());
            }
            if open.ended.get() {
                return None;
            }
            open.idle.set(open.idle.get() + 1);
            open.wake.notified().await;
            open.idle.set(open.idle.get() - 1);
        }
    }

    /// Makes rounds due at their time, until the end; calls `short` with the number of rounds for which no user is idle. Returns at once in a closed loop.
    pub(crate) async fn conduct(&self, mut short: impl FnMut(usize)) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let timer = Timer::new()?;
        let mut intended = self.begin.get() + open.schedule.borrow_mut().next_send();
        while intended < self.end() && self.left.get() > 0 {
            // Bit by bit, so that a load that is told to end does not wait for a request that is due in an hour.
            timer.wait_until(intended.min(clock::now() + LOOK)).await?;
            if self.is_fenced() {
                break;
            }
            let now = clock::now();
            while intended <= now && intended < self.end() && self.take_one() {
                open.due.set(open.due.get() + 1);
                open.wake.notify_one();
                intended = self.begin.get() + open.schedule.borrow_mut().next_send();
            }
            short(usize::try_from(open.due.get()).unwrap_or(usize::MAX).saturating_sub(open.idle.get()));
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

    /// Whether the number of rounds, or of requests, has ended the load.
    pub(crate) fn is_used_up(&self) -> bool {
        self.left.get() == 0
    }

    /// Rounds that were due and never begun.
    pub(crate) fn missed(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.due.get())
    }

    /// Takes one of those that are left; false where none is.
    pub(crate) fn take_one(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}
