//! The join: brings the stamps of one message together. Pure; it knows no log store.

use crate::Distribution;
use stamp::Stamp;
use std::collections::{HashMap, HashSet};

/// A stage that a message has no stamp of.
const MISSING: i64 = i64::MIN;

/// Stamps joined by message id.
#[derive(Debug)]
pub struct Join {
    stages: usize,
    rows: HashMap<u64, usize>,
    /// Event times in µs, `stages` of them for each message.
    times: Vec<i64>,
    /// The time scale of each message's first stamp.
    scales: Vec<u32>,
    /// Messages whose stamps are told in different time scales.
    torn: HashSet<usize>,
    repeated: u64,
}

impl Join {
    /// An empty join over this many stages.
    #[must_use]
    pub fn new(stages: usize) -> Self {
        Self { stages, rows: HashMap::new(), times: Vec::new(), scales: Vec::new(), torn: HashSet::new(), repeated: 0 }
    }

    /// Adds a stamp of the stage with this index. Of several stamps of one message at one stage the earliest counts: the
    /// first time that the message passed.
    pub fn add(&mut self, stage: usize, stamp: &Stamp) {
        let next = self.rows.len();
        let row = *self.rows.entry(stamp.id).or_insert(next);
        if row == next {
            self.times.resize(self.times.len() + self.stages, MISSING);
            self.scales.push(stamp.step);
        }
        if self.scales[row] != stamp.step {
            self.torn.insert(row);
        }
        let time = &mut self.times[row * self.stages + stage];
        if *time == MISSING {
            *time = stamp.event_us();
        } else {
            self.repeated += 1;
            *time = stamp.event_us().min(*time);
        }
    }

    /// Stamps beyond the first of one message at one stage.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Messages with a stamp of this stage.
    #[must_use]
    pub fn stamped(&self, stage: usize) -> u64 {
        self.messages().filter(|times| times[stage] != MISSING).count() as u64
    }

    /// Messages with a stamp of every stage.
    #[must_use]
    pub fn complete(&self) -> u64 {
        self.messages().filter(|times| !times.contains(&MISSING)).count() as u64
    }

    /// Messages that were on their way while the log store's clock was set: their stamps are told in different time
    /// scales, so that no latency is computed from them.
    #[must_use]
    pub fn across_steps(&self) -> u64 {
        self.torn.len() as u64
    }

    /// The time from one stage to another, of the messages that have both stamps, in one time scale; and how many of those
    /// times are below zero.
    #[must_use]
    pub fn latency(&self, from: usize, to: usize) -> (Distribution, u64) {
        let whole = self.messages().enumerate().filter(|(row, _)| !self.torn.contains(row)).map(|(_, times)| times);
        let both = whole.filter(|times| times[from] != MISSING && times[to] != MISSING);
        let latencies: Vec<i64> = both.map(|times| times[to] - times[from]).collect();
        let negative = latencies.iter().filter(|&&latency| latency < 0).count() as u64;
        (Distribution::of(latencies), negative)
    }

    fn messages(&self) -> impl Iterator<Item = &[i64]> {
        self.times.chunks_exact(self.stages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp(id: u64, time_us: i64) -> Stamp {
        Stamp { id, time_us, lag_us: None, err_us: None, step: 0 }
    }

    #[test]
    fn incomplete_repeated_and_negative_are_kept_apart() {
        let mut join = Join::new(3);
        for (stage, id, time) in
            [(0, 1, 100), (1, 1, 150), (2, 1, 400), (0, 2, 200), (1, 2, 190), (0, 1, 90), (2, 3, 5)]
        {
            join.add(stage, &stamp(id, time));
        }
        assert_eq!((join.stamped(0), join.stamped(2), join.complete(), join.repeated()), (2, 2, 1, 1));
        let (hop, negative) = join.latency(0, 1);
        assert_eq!((hop.count, hop.p50_us, hop.max_us, negative), (2, Some(-10), Some(60), 1));
        assert_eq!(join.latency(0, 2).0.max_us, Some(310));
    }

    #[test]
    fn times_of_different_scales_are_not_subtracted() {
        let mut join = Join::new(2);
        for (stage, id, time, step) in
            [(0, 1, 100, 0), (1, 1, 3_600_000_150, 1), (0, 2, 200, 0), (1, 2, 230, 0), (0, 3, 9000, 1), (1, 3, 9040, 1)]
        {
            join.add(stage, &Stamp { step, ..stamp(id, time) });
        }
        let (latency, negative) = join.latency(0, 1);
        assert_eq!((latency.count, latency.p50_us, latency.max_us, negative), (2, Some(30), Some(40), 0));
        assert_eq!((join.across_steps(), join.complete()), (1, 3));
    }

    proptest! {
        /// Whatever the order in which stamps come, the join gives back the latencies that made them.
        #[test]
        fn order_does_not_matter(messages in prop::collection::btree_map(any::<u64>(), prop::collection::vec(-50i64..1000, 4), 1..50), seed in any::<u64>()) {
            let mut stamps = Vec::new();
            for (&id, hops) in &messages {
                let mut time = 1_000_000;
                for (stage, hop) in hops.iter().enumerate() {
                    time += hop;
                    stamps.push((stage, stamp(id, time)));
                }
            }
            stamps.sort_by_key(|(stage, stamp)| (stamp.id ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(7 * u32::try_from(*stage).unwrap()));
            let mut join = Join::new(4);
            for (stage, stamp) in &stamps {
                join.add(*stage, stamp);
            }
            for stage in 1..4 {
                let expected: Vec<i64> = messages.values().map(|hops| hops[stage]).collect();
                let negative = expected.iter().filter(|&&hop| hop < 0).count() as u64;
                prop_assert_eq!(join.latency(stage - 1, stage), (Distribution::of(expected), negative));
            }
            prop_assert_eq!(join.complete(), messages.len() as u64);
        }
    }
}
