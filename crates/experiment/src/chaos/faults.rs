//! Which part suffers what, and when: random, and the same again for the same seed. Pure.

use load::SplitMix;
use stack::{Failover, Part};
use std::time::Duration;

/// How long the pipeline is left in peace before a fault.
const PEACE: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];

/// How long a stopped part stands still.
const STANDSTILL: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// The share of faults that are kills.
const KILLS: f64 = 0.75;

/// What happens to a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// SIGKILL, and a new start.
    Kill,
    /// SIGSTOP, and SIGCONT after this time.
    Stop(Duration),
    /// The replica of the queue's Redis takes over.
    Failover {
        /// In which way.
        how: Failover,
        /// How long nothing is taken from the queue before.
        backlog: Duration,
    },
}

/// How often a part has been harmed, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Harmed {
    pub kills: u32,
    pub stops: u32,
    pub failovers: u32,
}

impl Harmed {
    /// Counts one more.
    pub(super) fn note(&mut self, harm: Harm) {
        *match harm {
            Harm::Kill => &mut self.kills,
            Harm::Stop(_) => &mut self.stops,
            Harm::Failover { .. } => &mut self.failovers,
        } += 1;
    }
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What suffers.
    pub part: Part,
    /// What happens to it.
    pub harm: Harm,
    /// The time before it.
    pub peace: Duration,
}

/// Faults without end. Each part has its turn before any has its second.
#[derive(Debug)]
pub struct Faults {
    random: SplitMix,
    parts: Vec<Part>,
    turn: Vec<Part>,
    of_redis: Option<Harm>,
}

impl Faults {
    /// To these parts.
    pub fn new(parts: &[Part], seed: u64) -> Self {
        Self { random: SplitMix::new(seed), parts: parts.to_vec(), turn: Vec::new(), of_redis: None }
    }

    /// Redis suffers this, where it is given, in place of being killed and stopped.
    #[must_use]
    pub fn with_redis(self, of_redis: Option<Harm>) -> Self {
        Self { of_redis, ..self }
    }
}

impl Iterator for Faults {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        if self.turn.is_empty() {
            self.turn.clone_from(&self.parts);
            self.random.shuffle(&mut self.turn);
        }
        let part = self.turn.pop()?;
        let harm = if let Some(harm) = self.of_redis.filter(|_| part == Part::Redis) {
            harm
        } else if self.random.unit() <= KILLS {
            Harm::Kill
        } else {
            Harm::Stop(self.random.between(STANDSTILL[0], STANDSTILL[1]))
        };
        Some(Fault { part, harm, peace: self.random.between(PEACE[0], PEACE[1]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn redis_fails_over_where_that_is_asked_for_and_the_others_do_not() {
        let failover = Harm::Failover { how: Failover::Planned, backlog: Duration::ZERO };
        for fault in Faults::new(&Part::all(), 7).with_redis(Some(failover)).take(100) {
            assert_eq!(fault.harm == failover, fault.part == Part::Redis, "{fault:?}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_faults_again_and_every_part_its_share() {
        let faults: Vec<_> = Faults::new(&Part::all(), 7).take(1000).collect();
        assert_eq!(faults, Faults::new(&Part::all(), 7).take(1000).collect::<Vec<_>>());
        assert_ne!(faults, Faults::new(&Part::all(), 8).take(1000).collect::<Vec<_>>());
        let mut by_part = BTreeMap::<String, (u32, u32)>::new();
        for fault in faults {
            let (kills, stops) = by_part.entry(fault.part.to_string()).or_default();
            if fault.harm == Harm::Kill { *kills += 1 } else { *stops += 1 }
        }
        assert_eq!(by_part.len(), 5);
        assert!(by_part.values().all(|(kills, stops)| kills + stops == 200 && *kills > *stops && *stops > 20));
    }
}
