//! Joins stamps as they come in, from any stage in any order, to latencies. Pure.

use stamp::{Path, Stage, Stamp};
use std::collections::HashMap;

/// Messages that may wait for further stamps. Where there are more, the log store is behind, and they are given up: this is for watching.
const WAITING: usize = 100_000;

/// The sampled messages of a run that have not been seen whole.
#[derive(Debug)]
pub struct Join {
    stages: Vec<Stage>,
    /// Where arrival latency begins.
    intake: usize,
    waiting: HashMap<u64, Vec<Option<Stamp>>>,
}

/// What a stamp has told. Latencies are in µs; below zero where a clock erred.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found<'a> {
    /// From a stage, counted along the path, to the next.
    Hop {
        /// The stage at its beginning.
        from: usize,
        /// How long it took.
        us: i64,
    },
    /// From the API server to the end of the path.
    Arrival {
        /// The message.
        id: u64,
        /// How long it took.
        us: i64,
    },
    /// From the intended send to the end of the path, where the path begins with it.
    User(i64),
    /// A message has all its stamps, in path order.
    Whole {
        /// The message.
        id: u64,
        /// Its stamps.
        stamps: &'a [Option<Stamp>],
    },
}

impl Join {
    /// Over a path.
    pub fn new(path: &Path) -> Self {
        let stages = path.stages().to_vec();
        Self { intake: analysis::arrival_begins(&stages), waiting: HashMap::new(), stages }
    }

    /// The stages.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Where arrival latency begins, counted along the path.
    pub fn intake(&self) -> usize {
        self.intake
    }

    /// Takes the stamp of one stage, counted along the path. A second one of the same message is passed over.
    pub fn take(&mut self, stage: usize, stamp: Stamp, mut found: impl FnMut(Found<'_>)) {
        if self.waiting.len() >= WAITING {
            self.waiting.clear();
        }
        let last = self.stages.len() - 1;
        let stamps = self.waiting.entry(stamp.id).or_insert_with(|| vec![None; last + 1]);
        if stamps[stage].is_some() {
            return;
        }
        stamps[stage] = Some(stamp);
        let between = |from: usize, to: usize| match (stamps[from], stamps[to]) {
            // Event times of different time scales are never subtracted.
            (Some(from), Some(to)) if from.step == to.step => Some(to.event_us() - from.event_us()),
            _ => None,
        };
        for from in [stage.checked_sub(1), Some(stage)].into_iter().flatten().filter(|from| *from < last) {
            if let Some(us) = between(from, from + 1) {
                found(Found::Hop { from, us });
            }
        }
        if (stage == self.intake || stage == last)
            && let Some(us) = between(self.intake, last)
        {
            found(Found::Arrival { id: stamp.id, us });
        }
        if (stage == 0 || stage == last)
            && self.stages[0] == Stage::SEND
            && let Some(us) = between(0, last)
        {
            found(Found::User(us));
        }
        if stamps.iter().all(Option::is_some) {
            found(Found::Whole { id: stamp.id, stamps });
            self.waiting.remove(&stamp.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(id: u64, time_us: i64, step: u32) -> Stamp {
        Stamp { id, time_us, lag_us: Some(0), err_us: None, step, foreign: false }
    }

    /// What is found, as text.
    fn found(join: &mut Join, stage: usize, stamp: Stamp) -> Vec<String> {
        let mut all = Vec::new();
        join.take(stage, stamp, |found| {
            all.push(match found {
                Found::Whole { id, stamps } => format!("{id} whole, {} stamps", stamps.len()),
                found => format!("{found:?}"),
            });
        });
        all
    }

    #[test]
    fn stamps_join_whatever_their_order() {
        let path: Path = "send,apiserver,mqttclient".parse().unwrap();
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            let mut join = Join::new(&path);
            let mut all: Vec<String> = order
                .into_iter()
                .flat_map(|stage| found(&mut join, stage, stamp(7, [100, 150, 350][stage], 0)))
                .collect();
            all.sort();
            let whole = ["7 whole, 3 stamps", "Arrival { id: 7, us: 200 }", "Hop { from: 0, us: 50 }"];
            assert_eq!(all, [&whole[..], &["Hop { from: 1, us: 200 }", "User(250)"]].concat(), "{order:?}");
            assert!(join.waiting.is_empty(), "{order:?}");
        }
    }

    #[test]
    fn a_difference_across_steps_is_none_and_one_below_zero_is_told() {
        let path: Path = "apiserver,mqttclient".parse().unwrap();
        let mut join = Join::new(&path);
        found(&mut join, 0, stamp(1, 100, 0));
        // Hop and arrival are the same here.
        assert_eq!(
            found(&mut join, 1, stamp(1, 90, 0)),
            ["Hop { from: 0, us: -10 }", "Arrival { id: 1, us: -10 }", "1 whole, 2 stamps"]
        );
        found(&mut join, 0, stamp(2, 100, 0));
        assert_eq!(found(&mut join, 1, stamp(2, 190, 1)), ["2 whole, 2 stamps"]);
    }

    #[test]
    fn a_repeated_stamp_counts_once() {
        let path: Path = "apiserver,enqueue,mqttclient".parse().unwrap();
        let mut join = Join::new(&path);
        found(&mut join, 0, stamp(1, 100, 0));
        assert!(found(&mut join, 0, stamp(1, 105, 0)).is_empty());
        assert_eq!(found(&mut join, 2, stamp(1, 200, 0)), ["Arrival { id: 1, us: 100 }"]);
    }
}
