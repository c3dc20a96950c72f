//! Joins stamps as they come in, from any stage in any order, to latencies. Pure.

use super::distribution::Latencies;
use stamp::{MsgId, Path, Stage, Stamp};
use std::collections::{BTreeMap, HashMap};

/// Messages that may wait for further stamps. Where there are more, the log store is behind, and they are given up: this is for watching.
const WAITING: usize = 100_000;

/// The latencies of a run's sampled messages so far.
#[derive(Debug)]
pub(super) struct Join {
    stages: Vec<Stage>,
    /// Where arrival latency begins.
    intake: usize,
    /// From each stage to the next.
    pub(super) hops: Vec<Latencies>,
    /// From the API server to the end of the path.
    pub(super) arrival: Latencies,
    /// The same by the number of the step, where messages are those of steps.
    pub(super) by_step: Option<BTreeMap<u16, Latencies>>,
    /// From the intended send to the end of the path, where the path begins with it.
    pub(super) user: Option<Latencies>,
    /// Differences below zero, which count as latencies of zero: a message may be popped before the answer to its push is in, and clocks
    /// have errors. A report tells them as they are.
    pub(super) negative: u64,
    waiting: HashMap<u64, Vec<Option<Stamp>>>,
}

impl Join {
    /// Over a path; `by_step` where messages are those of steps.
    pub(super) fn new(path: &Path, by_step: bool) -> Self {
        let stages = path.stages().to_vec();
        Self {
            intake: analysis::arrival_begins(&stages),
            hops: vec![Latencies::default(); stages.len().saturating_sub(1)],
            arrival: Latencies::default(),
            by_step: by_step.then(BTreeMap::new),
            user: stages.first().filter(|stage| **stage == Stage::SEND).map(|_| Latencies::default()),
            negative: 0,
            waiting: HashMap::new(),
            stages,
        }
    }

    /// The hops by name: from, to, and what they took.
    pub(super) fn named_hops(&self) -> impl Iterator<Item = (&Stage, &Stage, &Latencies)> {
        let ends = self.stages.iter().zip(self.stages.iter().skip(1));
        ends.zip(&self.hops).map(|((from, to), hop)| (from, to, hop))
    }

    /// Takes the stamp of one stage, counted along the path. A second one of the same message is passed over.
    pub(super) fn take(&mut self, stage: usize, stamp: Stamp) {
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
        let mut note = |latencies: &mut Latencies, us: Option<i64>| match us.map(u64::try_from) {
            Some(Ok(us)) => latencies.note(us),
            Some(Err(_)) => {
                self.negative += 1;
                latencies.note(0);
            }
            None => {}
        };
        for from in [stage.checked_sub(1), Some(stage)].into_iter().flatten().filter(|from| *from < last) {
            note(&mut self.hops[from], between(from, from + 1));
        }
        if stage == self.intake || stage == last {
            let arrival = between(self.intake, last);
            note(&mut self.arrival, arrival);
            if let (Some(steps), Ok(id), Some(us)) = (&mut self.by_step, MsgId::new(stamp.id), arrival) {
                // What is below zero is counted with the whole.
                steps.entry(id.connection()).or_default().note(u64::try_from(us).unwrap_or(0));
            }
        }
        if let Some(user) = self.user.as_mut().filter(|_| stage == 0 || stage == last) {
            note(user, between(0, last));
        }
        if stamps.iter().all(Option::is_some) {
            self.waiting.remove(&stamp.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(id: u64, time_us: i64, step: u32) -> Stamp {
        Stamp { id, time_us, lag_us: Some(0), err_us: None, step }
    }

    fn recorded(latencies: &Latencies) -> (u64, f64) {
        (latencies.distribution().count(), latencies.distribution().sum_seconds())
    }

    #[test]
    fn stamps_join_whatever_their_order() {
        let path: Path = "send,apiserver,mqttclient".parse().unwrap();
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            let mut join = Join::new(&path, false);
            for stage in order {
                join.take(stage, stamp(7, [100, 150, 350][stage], 0));
            }
            let hops: Vec<_> =
                join.named_hops().map(|(from, to, hop)| (from.as_str(), to.as_str(), recorded(hop))).collect();
            assert_eq!(hops, [("send", "apiserver", (1, 0.000_05)), ("apiserver", "mqttclient", (1, 0.000_2))]);
            assert_eq!(recorded(&join.arrival), (1, 0.000_2));
            assert_eq!(recorded(join.user.as_ref().unwrap()), (1, 0.000_25));
            assert!(join.waiting.is_empty(), "{order:?}");
        }
    }

    #[test]
    fn a_difference_below_zero_counts_as_zero_and_one_across_steps_not_at_all() {
        let path: Path = "apiserver,mqttclient".parse().unwrap();
        let mut join = Join::new(&path, false);
        join.take(0, stamp(1, 100, 0));
        join.take(1, stamp(1, 90, 0));
        join.take(0, stamp(2, 100, 0));
        join.take(1, stamp(2, 190, 1));
        // Hop and arrival are the same here, and both are counted.
        assert_eq!((join.negative, recorded(&join.arrival), recorded(&join.hops[0])), (2, (1, 0.0), (1, 0.0)));
        assert!(join.user.is_none());
    }

    #[test]
    fn a_repeated_stamp_counts_once() {
        let path: Path = "apiserver,enqueue,mqttclient".parse().unwrap();
        let mut join = Join::new(&path, false);
        for time in [100, 105] {
            join.take(0, stamp(1, time, 0));
        }
        join.take(2, stamp(1, 200, 0));
        assert_eq!(recorded(&join.arrival), (1, 0.000_1));
    }
}
