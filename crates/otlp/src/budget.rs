//! How long is tried: the time that one level's traces may take, and the waits between attempts.

use stamp::clock;
use std::time::{Duration, Instant};

/// The first wait, and the longest.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// The time that is left, and how long to wait before the next attempt.
#[derive(Debug)]
pub(crate) struct Budget {
    ends: Instant,
    wait: Duration,
}

impl Budget {
    pub(crate) fn of(time: Duration) -> Self {
        Self { ends: clock::now() + time, wait: FIRST }
    }

    /// What is left of it.
    pub(crate) fn left(&self) -> Duration {
        self.ends.saturating_duration_since(clock::now())
    }

    /// An attempt has succeeded: the next fault begins with a short wait again.
    pub(crate) fn is_well(&mut self) {
        self.wait = FIRST;
    }

    /// How long to wait: twice as long as the last time, or as long as the other side asks; nothing where the time is over before.
    pub(crate) fn wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let wait = asked.unwrap_or(self.wait);
        self.wait = (self.wait * 2).min(LONGEST);
        (wait < self.left()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_until_the_time_is_over() {
        let mut budget = Budget::of(Duration::from_secs(3600));
        let waits: Vec<u128> =
            std::iter::repeat_with(|| budget.wait(None).unwrap().as_millis()).take(7).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(budget.wait(Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(budget.wait(Some(Duration::from_secs(7200))), None);
        budget.is_well();
        assert_eq!(budget.wait(None), Some(FIRST));
        assert_eq!(Budget::of(Duration::ZERO).wait(None), None);
    }
}
