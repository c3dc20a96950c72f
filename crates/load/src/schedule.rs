//! The schedule of an open loop: when each request is meant to be sent. Pure; times count from the start of the load.

use crate::segment::Segment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How requests of an open loop follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Arrivals {
    /// At equal distances.
    Constant,
    /// At random, as from many independent clients: exponentially distributed distances.
    Poisson,
}

/// Intended send times: the i-th follows from the schedule alone, whatever has become of the requests before it.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    rate: f64,
    arrivals: Arrivals,
    ramp_s: f64,
    random: SplitMix,
    /// The number of requests due by the last intended time; with constant arrivals a whole one.
    position: f64,
    /// From one request to the next, with constant arrivals.
    stride: f64,
}

impl Schedule {
    /// `rate` requests a second, reached in a straight line over `ramp`; of these, the ones of a segment: with constant arrivals each of them lies where it
    /// lies in the whole. Several Poisson processes together are one of the sum of their rates.
    pub(crate) fn new(rate: f64, arrivals: Arrivals, ramp: Duration, seed: u64, segment: Segment) -> Self {
        let (stride, ramp_s) = (f64::from(segment.of), ramp.as_secs_f64());
        match arrivals {
            Arrivals::Constant => {
                // The first request of the whole is due at once.
                let position = f64::from(segment.index) - stride;
                Self { rate, arrivals, ramp_s, random: SplitMix::new(seed), position, stride }
            }
            Arrivals::Poisson => {
                let random = SplitMix::new(seed ^ u64::from(segment.index) << 40);
                Self { rate: rate / stride, arrivals, ramp_s, random, position: 0.0, stride }
            }
        }
    }

    /// The next intended send time.
    pub(crate) fn next_send(&mut self) -> Duration {
        self.position += match self.arrivals {
            Arrivals::Constant => self.stride,
            // The time to the next event of a Poisson process of rate 1.
            Arrivals::Poisson => -self.random.unit().ln(),
        };
        Duration::from_secs_f64(self.time_of(self.position))
    }

    /// When this many requests are due: the inverse of R t²/2 ramp during the ramp, and of a straight line after it.
    fn time_of(&self, position: f64) -> f64 {
        let in_ramp = self.rate * self.ramp_s / 2.0;
        if position < in_ramp {
            (2.0 * position * self.ramp_s / self.rate).sqrt()
        } else {
            self.ramp_s + (position - in_ramp) / self.rate
        }
    }
}

/// `SplitMix64` (Steele, Lea & Flood 2014): small, fast, and the same on every machine for the same seed.
#[derive(Debug, Clone)]
pub struct SplitMix(u64);

impl SplitMix {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Puts things into a random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let other = usize::try_from(self.next() % (last as u64 + 1)).unwrap_or(last);
            things.swap(last, other);
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A whole number below this one; 0 where that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product is below the bound, and even to 1 in 2^64 of it (D. Lemire, 2019).
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A number above 0 and up to 1.
    pub fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// A duration from `least` to `most`.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(schedule: &mut Schedule, number: usize) -> Vec<f64> {
        (0..number).map(|_| schedule.next_send().as_secs_f64()).collect()
    }

    #[test]
    fn constant_arrivals_are_counted_from_the_start() {
        let mut schedule = Schedule::new(3.0, Arrivals::Constant, Duration::ZERO, 0, Segment::default());
        let times = times(&mut schedule, 3_000_001);
        // No rounding adds up: the millionth second is as exact as the first.
        for (index, time) in [(0, 0.0), (1, 1.0 / 3.0), (3, 1.0), (3_000_000, 1_000_000.0)] {
            assert!((times[index] - time).abs() < 1e-8, "{index}: {}", times[index]);
        }
    }

    #[test]
    fn a_ramp_sends_half_as_much() {
        let mut schedule = Schedule::new(1000.0, Arrivals::Constant, Duration::from_secs(10), 0, Segment::default());
        let times = times(&mut schedule, 10_000);
        let within = |from: f64, to: f64| times.iter().filter(|&&time| (from..to).contains(&time)).count();
        assert_eq!((within(0.0, 10.0), within(10.0, 11.0)), (5000, 1000));
        // A tenth of the rate after a tenth of the ramp.
        assert!((95..=105).contains(&within(0.5, 1.5)), "{}", within(0.5, 1.5));
    }

    #[test]
    fn segments_make_up_the_whole() {
        let ramp = Duration::from_millis(300);
        let whole = times(&mut Schedule::new(1000.0, Arrivals::Constant, ramp, 1, Segment::default()), 1000);
        let of_each = (Segment { of: 4, ..Segment::default() })
            .all()
            .flat_map(|segment| times(&mut Schedule::new(1000.0, Arrivals::Constant, ramp, 1, segment), 250));
        let mut together: Vec<f64> = of_each.collect();
        together.sort_by(f64::total_cmp);
        assert_eq!(together, whole);
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_their_kind() {
        let mut schedule = Schedule::new(1000.0, Arrivals::Poisson, Duration::ZERO, 42, Segment::default());
        let times = times(&mut schedule, 100_000);
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // The standard deviation of an exponential distribution is its mean.
        assert!((mean - 0.001).abs() < 2e-5 && (variance.sqrt() - 0.001).abs() < 3e-5, "{mean} {variance}");
    }

    proptest! {
        #[test]
        fn times_never_go_back(rate in 0.1f64..1e6, poisson: bool, ramp_ms in 0u64..5000, seed: u64) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Constant };
            let mut schedule = Schedule::new(rate, arrivals, Duration::from_millis(ramp_ms), seed, Segment::default());
            let times = times(&mut schedule, 500);
            prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
        }
    }
}
