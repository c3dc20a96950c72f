//! How long is tried: the time that one level's traces may take, and the waits between attempts.

use stamp::clock;
use std::time::{Duration, Instant};

/// The first wait, and the longest.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// How long a collector is tried that takes nothing, unless it says itself how long that is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longer than anybody waits, and no clock ends before.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The time that is left, and how long to wait before the next attempt.
#[derive(Debug)]
pub(crate) struct Budget {
    ends: Instant,
    patience: Duration,
    wait: Duration,
    /// When the collector took something, or asked to be left alone, or the first attempt began.
    well: Instant,
}

impl Budget {
    /// So much time in all.
    pub(crate) fn of(time: Duration) -> Self {
        let now = clock::now();
        Self { ends: now + time.min(FAR), patience: PATIENCE, wait: FIRST, well: now }
    }

    /// The same with less patience, for a collector that took nothing the last time.
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How long an attempt may take.
    pub(crate) fn attempt(&self) -> Duration {
        ATTEMPT.min(self.ends.saturating_duration_since(clock::now()))
    }

    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        clock::now() >= self.ends
    }

    /// An attempt has succeeded: the next fault begins with a short wait again.
    pub(crate) fn is_well(&mut self) {
        (self.wait, self.well) = (FIRST, clock::now());
    }

    /// How long to wait: twice as long as the last time, or as long as the other side asks; nothing where that is too long.
    pub(crate) fn wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let wait = asked.unwrap_or(self.wait);
        self.wait = (self.wait * 2).min(LONGEST);
        // What the other side asks may be longer than any clock reaches.
        let until = clock::now().checked_add(wait).filter(|until| *until < self.ends)?;
        if asked.is_some() {
            self.well = until;
        }
        (until <= self.well + self.patience).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_until_the_time_is_over() {
        let mut budget = Budget::of(Duration::from_secs(3600)).with_patience(Duration::from_secs(60));
        let waits: Vec<u128> = std::iter::repeat_with(|| budget.wait(None).unwrap().as_millis()).take(7).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(budget.wait(Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(budget.wait(Some(Duration::from_secs(7200))), None);
        assert_eq!(budget.wait(Some(Duration::MAX)), None);
        assert!(Budget::of(Duration::MAX).wait(None).is_some());
        budget.is_well();
        assert_eq!(budget.wait(None), Some(FIRST));
        assert_eq!(Budget::of(Duration::ZERO).wait(None), None);
    }

    #[test]
    fn patience_ends_unless_the_collector_asks_for_it() {
        let mut budget = Budget::of(Duration::from_secs(3600));
        // No time passes here: only a wait that reaches beyond the patience ends it.
        budget.patience = Duration::from_secs(2);
        let waits = std::iter::repeat_with(|| budget.wait(None)).take_while(Option::is_some).count();
        assert_eq!(waits, 4);
        let mut budget = Budget::of(Duration::from_secs(3600));
        assert!((0..100).all(|_| budget.wait(Some(Duration::from_secs(1))).is_some()));
    }
}
