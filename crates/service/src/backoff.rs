//! How long to wait before the next attempt to reach a server that is away.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Delays below a bound that doubles from 50 ms up to 2 s. Each lies at random in the upper half below its bound, so that the
/// many clients of a server that comes back do not all call in the same moment, and none calls again at once.
#[derive(Debug, Default)]
pub struct Backoff {
    bound: Duration,
}

impl Backoff {
    /// The delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        self.bound = (self.bound * 2).clamp(SHORTEST, LONGEST);
        spread(self.bound, random())
    }

    /// Starts again from the shortest delay; true when there was a delay since the last call, that is, when
    /// the server had been away.
    pub fn reset(&mut self) -> bool {
        !std::mem::take(&mut self.bound).is_zero()
    }

    /// Whether the server is away, as far as is known.
    pub fn is_waiting(&self) -> bool {
        !self.bound.is_zero()
    }
}

/// The point of the upper half below `bound` that a random number picks ("equal jitter" in Brooker, Exponential Backoff and
/// Jitter, 2015).
fn spread(bound: Duration, random: u32) -> Duration {
    let half = bound / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// The standard library seeds its hash maps at random; that is random enough for a delay.
fn random() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn bounds_grow_to_two_seconds_and_start_again() {
        let mut backoff = Backoff::default();
        assert!(!backoff.is_waiting());
        assert!(!backoff.reset());
        for bound_ms in [50, 100, 200, 400, 800, 1600, 2000, 2000] {
            let (delay, bound) = (backoff.next_delay(), Duration::from_millis(bound_ms));
            assert!(bound / 2 <= delay && delay <= bound, "{delay:?} is not within the upper half below {bound:?}");
            assert!(backoff.is_waiting());
        }
        assert!(backoff.reset());
        assert!(!backoff.is_waiting());
        assert!(backoff.next_delay() <= SHORTEST);
    }

    #[test]
    fn a_delay_lies_in_the_upper_half_below_its_bound() {
        assert_eq!(spread(LONGEST, 0), LONGEST / 2);
        assert_eq!(spread(LONGEST, u32::MAX), LONGEST);
        let middle = spread(LONGEST, u32::MAX / 2);
        assert!(Duration::from_millis(1499) < middle && middle < Duration::from_millis(1501), "{middle:?}");
    }

    #[test]
    fn delays_differ_and_fill_their_range() {
        let delays: Vec<_> = (0..1000).map(|_| Backoff::default().next_delay()).collect();
        let different: HashSet<_> = delays.iter().collect();
        assert!(different.len() > 900, "{} different delays of 1000", different.len());
        // Each tenth of the range misses all of 1000 draws once in 10^45 times.
        for tenth in 0..10 {
            let from = SHORTEST / 2 + SHORTEST / 20 * tenth;
            assert!(delays.iter().any(|&delay| from <= delay && delay <= from + SHORTEST / 20), "none from {from:?}");
        }
    }
}
