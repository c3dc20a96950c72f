//! The latencies of a run's sampled messages so far. Pure.

use super::distribution::Latencies;
use live::{Found, Join};
use stamp::{MsgId, Path, Stage, Stamp};
use std::collections::BTreeMap;

/// By hop, and from end to end.
#[derive(Debug)]
pub(super) struct RunLatencies {
    join: Join,
    /// From each stage to the next.
    hops: Vec<Latencies>,
    /// From the API server to the end of the path.
    pub(super) arrival: Latencies,
    /// The same by the number of the step, where messages are those of steps.
    pub(super) by_step: Option<BTreeMap<u16, Latencies>>,
    /// From the intended send to the end of the path, where the path begins with it.
    pub(super) user: Option<Latencies>,
    /// Differences below zero, which count as latencies of zero. A report tells them as they are.
    pub(super) negative: u64,
}

impl RunLatencies {
    /// Over a path; `by_step` where messages are those of steps.
    pub(super) fn new(path: &Path, by_step: bool) -> Self {
        let join = Join::new(path);
        Self {
            hops: vec![Latencies::default(); join.stages().len().saturating_sub(1)],
            arrival: Latencies::default(),
            by_step: by_step.then(BTreeMap::new),
            user: join.stages().first().filter(|stage| **stage == Stage::SEND).map(|_| Latencies::default()),
            negative: 0,
            join,
        }
    }

    /// The hops by name: from, to, and what they took.
    pub(super) fn named_hops(&self) -> impl Iterator<Item = (&Stage, &Stage, &Latencies)> {
        let stages = self.join.stages();
        let ends = stages.iter().zip(stages.iter().skip(1));
        ends.zip(&self.hops).map(|((from, to), hop)| (from, to, hop))
    }

    /// Takes the stamp of one stage, counted along the path.
    pub(super) fn take(&mut self, stage: usize, stamp: Stamp) {
        let Self { join, hops, arrival, by_step, user, negative } = self;
        let mut note = |latencies: &mut Latencies, us: i64| {
            *negative += u64::from(us < 0);
            latencies.note(u64::try_from(us).unwrap_or(0));
        };
        join.take(stage, stamp, |found| match found {
            Found::Hop { from, us } => note(&mut hops[from], us),
            Found::Arrival { id, us } => {
                note(arrival, us);
                if let (Some(steps), Ok(id)) = (by_step.as_mut(), MsgId::new(id)) {
                    // What is below zero is counted with the whole.
                    steps.entry(id.connection()).or_default().note(u64::try_from(us).unwrap_or(0));
                }
            }
            Found::User(us) => {
                if let Some(user) = user.as_mut() {
                    note(user, us);
                }
            }
            Found::Whole { .. } => {}
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_below_zero_counts_as_zero() {
        let mut run = RunLatencies::new(&"apiserver,mqttclient".parse().unwrap(), false);
        for (stage, time_us) in [(0, 100), (1, 90)] {
            run.take(stage, Stamp { id: 1, time_us, lag_us: Some(0), err_us: None, step: 0, foreign: false });
        }
        let recorded =
            |latencies: &Latencies| (latencies.distribution().count(), latencies.distribution().sum_seconds());
        // Hop and arrival are the same here, and both are counted.
        assert_eq!((run.negative, recorded(&run.arrival), recorded(&run.hops[0])), (2, (1, 0.0), (1, 0.0)));
        assert!(run.user.is_none());
    }
}
