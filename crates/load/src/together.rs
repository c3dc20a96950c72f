//! What several generators that make one load together agree on: when it begins, when its measured time does, and until when each may go on.

use stamp::clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How a load is tied to those of other generators.
#[derive(Debug, Clone)]
pub struct Together {
    /// It begins at this moment, and its schedule counts from there.
    pub begin: Instant,
    /// It ends where this has passed.
    pub fence: Fence,
    /// Where users begin before the measured time: when that begins.
    pub gate: Gate,
}

/// A moment after which nothing more is sent, unless it has been moved on. Whoever was stopped for longer than that must not make up for it afterwards: by
/// then others count on its silence. Cheap to clone; all clones are the same fence.
#[derive(Debug, Clone)]
pub struct Fence(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    anchor: Instant,
    /// From the anchor, ns.
    until: AtomicU64,
    /// Somebody has found it passed: that is for good.
    passed: AtomicBool,
}

impl Fence {
    /// At this moment.
    pub fn at(moment: Instant) -> Self {
        let fence =
            Self(Arc::new(Inner { anchor: clock::now(), until: AtomicU64::new(0), passed: AtomicBool::new(false) }));
        fence.move_to(moment);
        fence
    }

    /// Moves it.
    pub fn move_to(&self, moment: Instant) {
        let ns = moment.saturating_duration_since(self.0.anchor).as_nanos();
        self.0.until.store(u64::try_from(ns).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether its moment has passed, or had when somebody asked before: who has stopped at it does not go on.
    pub fn has_passed(&self) -> bool {
        let moment = self.0.anchor + Duration::from_nanos(self.0.until.load(Ordering::Relaxed));
        if clock::now() >= moment {
            self.0.passed.store(true, Ordering::Relaxed);
        }
        self.0.passed.load(Ordering::Relaxed)
    }
}

/// Where generators wait for each other until all users are there. Cheap to clone; all clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    there: Arc<Notify>,
    from: watch::Sender<Option<Instant>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { there: Arc::default(), from: watch::Sender::new(None) }
    }
}

impl Gate {
    /// Waits until the users of this generator are there.
    pub async fn there(&self) {
        self.there.notified().await;
    }

    /// Lets all go on from this moment.
    pub fn open(&self, from: Instant) {
        self.from.send_if_modified(|known| known.replace(from).is_none());
    }

    /// Says that this generator's users are there, and waits for the others'.
    pub(crate) async fn pass(&self) -> Instant {
        self.there.notify_one();
        let mut from = self.from.subscribe();
        // The sender lives as long as this.
        let opened = from.wait_for(Option::is_some).await.ok().and_then(|from| *from);
        opened.unwrap_or_else(clock::now)
    }
}
