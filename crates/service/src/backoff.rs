//! How long to wait before the next attempt to reach a server that is away.

use std::time::Duration;

/// Delays that double from 50 ms up to 2 s.
#[derive(Debug, Default)]
pub struct Backoff {
    last: Duration,
}

impl Backoff {
    /// The delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        self.last = (self.last * 2).clamp(Duration::from_millis(50), Duration::from_secs(2));
        self.last
    }

    /// Starts again from the shortest delay; true when there was a delay since the last call, that is, when
    /// the server had been away.
    pub fn reset(&mut self) -> bool {
        !std::mem::take(&mut self.last).is_zero()
    }

    /// Whether the server is away, as far as is known.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.last.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_two_seconds_and_start_again() {
        let mut backoff = Backoff::default();
        assert!(!backoff.reset());
        let delays: Vec<_> = (0..8).map(|_| backoff.next_delay().as_millis()).collect();
        assert_eq!(delays, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert!(backoff.reset());
        assert_eq!(backoff.next_delay().as_millis(), 50);
    }
}
