//! Which part suffers what, and when: random, and the same again for the same seed. Pure.

use load::SplitMix;
use stack::Part;
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
}

impl Faults {
    /// To these parts.
    #[must_use]
    pub fn new(parts: &[Part], seed: u64) -> Self {
        Self { random: SplitMix::new(seed), parts: parts.to_vec(), turn: Vec::new() }
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
        let harm = if self.random.unit() <= KILLS {
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
