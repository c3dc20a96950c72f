//! A distribution of latencies in the two forms that Prometheus knows. Pure.

use hdrhistogram::Histogram;
use load::{histogram, recorded};
use service::metrics::BOUNDS_NS;

/// How fine a native histogram is: `2^SCHEMA` buckets for each power of two, each 2.2 % wider than the one before.
pub(super) const SCHEMA: i32 = 5;

/// Latencies, µs, and how many took so long; ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Distribution(Vec<(u64, u64)>);

/// The buckets of a native histogram: one for zero, and runs of neighbours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Native {
    /// Latencies of zero.
    pub(super) zero: u64,
    /// For each run, the distance from the end of the one before (of the first: its index), and its length.
    pub(super) spans: Vec<(i32, u32)>,
    /// For each bucket, by how much its count exceeds that of the one before.
    pub(super) deltas: Vec<i64>,
}

impl Distribution {
    pub(super) fn new(recorded: Vec<(u64, u64)>) -> Self {
        Self(recorded)
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    pub(super) fn sum_seconds(&self) -> f64 {
        self.0.iter().map(|&(us, count)| us as f64 / 1e6 * count as f64).sum()
    }

    /// The upper bounds of the buckets that the services have, too, s, and how many latencies fall into each, not counting those before.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS_NS.map(|ns| ns as f64 / 1e9);
        let mut buckets: Vec<(f64, u64)> = bounds.into_iter().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
        for &(us, count) in &self.0 {
            let bucket = BOUNDS_NS.partition_point(|&bound| bound / 1000 < us);
            buckets[bucket].1 += count;
        }
        buckets
    }

    /// The same as a native histogram.
    pub(super) fn native(&self) -> Native {
        let mut counts: Vec<(i32, i64)> = Vec::new();
        for &(us, count) in self.0.iter().filter(|(us, _)| *us > 0) {
            let (index, count) = (index(us), i64::try_from(count).unwrap_or(i64::MAX));
            match counts.last_mut() {
                Some((last, total)) if *last == index => *total += count,
                _ => counts.push((index, count)),
            }
        }
        let zero = self.0.iter().filter(|(us, _)| *us == 0).map(|(_, count)| count).sum();
        let mut native = Native { zero, ..Native::default() };
        let (mut next, mut before) = (0, 0);
        for (index, count) in counts {
            match native.spans.last_mut() {
                Some((_, length)) if index == next => *length += 1,
                _ => native.spans.push((index - next, 1)),
            }
            native.deltas.push(count - before);
            (next, before) = (index + 1, count);
        }
        native
    }
}

/// A histogram of latencies under way, µs.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(histogram())
    }
}

impl Latencies {
    pub(super) fn note(&mut self, us: u64) {
        self.0.saturating_record(us);
    }

    pub(super) fn distribution(&self) -> Distribution {
        Distribution::new(recorded(&self.0))
    }
}

/// The bucket `(base^(index - 1), base^index]` of a latency, where base is `2^(2^-SCHEMA)` and the unit the second.
fn index(us: u64) -> i32 {
    let position = (us as f64 / 1e6).log2() * f64::from(1 << SCHEMA);
    // From 1 µs (-638) to an hour (378): it fits.
    #[allow(clippy::cast_possible_truncation)]
    let index = position.ceil() as i32;
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn classic_buckets_hold_what_is_no_longer_than_their_bound() {
        let distribution = Distribution::new(vec![(0, 1), (50, 1), (51, 1), (1_500, 3), (60_000_001, 4)]);
        let filled: Vec<_> = distribution.buckets().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.000_05, 2), (0.000_1, 1), (0.002, 3), (f64::INFINITY, 4)]);
        assert_eq!((distribution.count(), distribution.buckets().len()), (10, 21));
    }

    #[test]
    fn native_buckets_of_a_schema() {
        // One second is the upper end of bucket 0, half of one that of bucket -32.
        assert_eq!((index(1_000_000), index(1_000_001), index(500_000)), (0, 1, -32));
        let native = Distribution::new(vec![(0, 9), (500_000, 2), (505_000, 3), (1_000_000, 7)]).native();
        assert_eq!(native, Native { zero: 9, spans: vec![(-32, 2), (30, 1)], deltas: vec![2, 1, 4] });
    }

    proptest! {
        #[test]
        fn no_latency_is_lost_and_each_lies_in_its_bucket(us in prop::collection::btree_map(1u64..3_600_000_000, 1u64..1000, 0..50)) {
            let distribution = Distribution::new(us.clone().into_iter().collect());
            prop_assert_eq!(distribution.buckets().iter().map(|(_, count)| count).sum::<u64>(), distribution.count());
            let native = distribution.native();
            let (mut at, mut count, mut deltas, mut total) = (0i32, 0i64, native.deltas.iter(), 0i64);
            let mut bounds = Vec::new();
            for (offset, length) in &native.spans {
                at += offset;
                for _ in 0..*length {
                    count += deltas.next().unwrap();
                    prop_assert!(count > 0);
                    total += count;
                    bounds.push(2f64.powf(f64::from(at) / 32.0));
                    at += 1;
                }
            }
            prop_assert_eq!(u64::try_from(total).unwrap(), distribution.count());
            for us in us.keys() {
                let seconds = *us as f64 / 1e6;
                prop_assert!(bounds.iter().any(|bound| seconds <= bound * 1.000_001 && seconds > bound / 1.023));
            }
        }
    }
}
