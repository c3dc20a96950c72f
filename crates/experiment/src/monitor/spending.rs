//! From readings of counters that only rise to what was spent between them. Pure.

use analysis::Usage;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Over less than this, CPU time in hundredths of a second tells nothing.
const LEAST: Duration = Duration::from_millis(200);

/// CPU time and memory of a process at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) at: Instant,
    /// Since it started, µs.
    pub(super) cpu_us: u64,
    pub(super) memory_bytes: Option<u64>,
}

/// What the components have spent so far.
#[derive(Debug, Default)]
pub(super) struct Spending {
    parts: BTreeMap<(String, String), Part>,
}

#[derive(Debug)]
struct Part {
    cores: f64,
    first: Reading,
    last: Reading,
    most_memory: Option<u64>,
}

impl Spending {
    /// Takes in a reading of one process of a component, which can keep so many processors busy.
    pub(super) fn note(&mut self, component: &str, instance: &str, cores: f64, reading: Reading) {
        let name = (component.to_owned(), instance.to_owned());
        let part = self.parts.entry(name).or_insert(Part { cores, first: reading, last: reading, most_memory: None });
        if reading.cpu_us < part.last.cpu_us {
            // It has started anew.
            part.first = reading;
        }
        part.last = reading;
        part.most_memory = part.most_memory.max(reading.memory_bytes);
    }

    /// What each has spent between its first reading and its last one.
    pub(super) fn usage(&self) -> Vec<Usage> {
        self.latest().map(|(usage, _)| usage).collect()
    }

    /// The same, with the memory at the last reading, bytes.
    pub(super) fn latest(&self) -> impl Iterator<Item = (Usage, Option<u64>)> {
        let usage = |((component, instance), part): (&(String, String), &Part)| {
            let wall = part.last.at.saturating_duration_since(part.first.at);
            let usage = || Usage {
                component: component.clone(),
                instance: instance.clone(),
                cpu_us: part.last.cpu_us - part.first.cpu_us,
                wall_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
                cores: part.cores,
                memory_bytes: part.most_memory,
            };
            (wall >= LEAST).then(|| (usage(), part.last.memory_bytes))
        };
        self.parts.iter().filter_map(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stamp::clock;

    fn readings(spending: &mut Spending, readings: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let begin = clock::now();
        for &(ms, cpu_us) in readings {
            let at = begin + Duration::from_millis(ms);
            spending.note("redis", "", 1.0, Reading { at, cpu_us, memory_bytes: Some(cpu_us) });
        }
        spending.usage().iter().map(|usage| (usage.cpu_us, usage.wall_us)).collect()
    }

    #[test]
    fn what_is_spent_is_the_difference_of_first_and_last() {
        assert_eq!(readings(&mut Spending::default(), &[(0, 500), (500, 700), (1000, 1500)]), [(1000, 1_000_000)]);
    }

    #[test]
    fn a_process_that_starts_anew_counts_from_there() {
        assert_eq!(readings(&mut Spending::default(), &[(0, 500), (500, 20), (1500, 220)]), [(200, 1_000_000)]);
    }

    #[test]
    fn one_reading_tells_nothing() {
        assert_eq!(readings(&mut Spending::default(), &[(0, 500)]), []);
    }
}
