//! Arrivals in this process's memory: exact for as long as it lives.

use roaring::RoaringTreemap;
use stamp::{MsgId, RunId};
use std::collections::HashMap;

/// Runs that are remembered. The one that has been still for longest makes room for a new one.
const RUNS: usize = 64;

/// Arrivals after which a run's ids are compressed: those of a connection that counts on are one interval then, however many
/// they are.
const COMPRESS_AFTER: u32 = 1 << 16;

/// The ids that have arrived, by run. The load generator's ids are dense: 65,536 of them take about as much as one of those
/// that are spread at random, some 200 bytes.
#[derive(Debug, Default)]
pub(crate) struct Bitmaps {
    runs: HashMap<RunId, Seen>,
    clock: u64,
}

#[derive(Debug, Default)]
struct Seen {
    ids: RoaringTreemap,
    touched: u64,
    /// Arrivals since the ids were compressed.
    since: u32,
}

impl Bitmaps {
    /// Notes an arrival; false when the message had arrived before.
    pub(crate) fn is_first(&mut self, run: &RunId, id: MsgId) -> bool {
        self.clock += 1;
        if !self.runs.contains_key(run) {
            self.make_room();
            self.runs.insert(run.clone(), Seen::default());
        }
        self.runs.get_mut(run).is_none_or(|seen| {
            seen.touched = self.clock;
            seen.since += 1;
            if seen.since == COMPRESS_AFTER {
                seen.since = 0;
                seen.ids.optimize();
            }
            seen.ids.insert(id.get())
        })
    }

    fn make_room(&mut self) {
        if self.runs.len() >= RUNS
            && let Some(oldest) = self.runs.iter().min_by_key(|(_, seen)| seen.touched).map(|(run, _)| run.clone())
        {
            self.runs.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: usize) -> RunId {
        format!("run-{n}").parse().unwrap()
    }

    #[test]
    fn a_message_is_first_once_per_run() {
        let mut arrivals = Bitmaps::default();
        let id = MsgId::compose(3, 7, 9);
        assert!(arrivals.is_first(&run(1), id) && arrivals.is_first(&run(2), id));
        assert!(!arrivals.is_first(&run(1), id));
    }

    #[test]
    fn many_messages_of_a_few_connections_take_little_memory() {
        let mut arrivals = Bitmaps::default();
        for sequence in 0..500_000 {
            // Neighbours overtake each other, as they do on the way.
            assert!((0..4).all(|connection| arrivals.is_first(&run(1), MsgId::compose(0, connection, sequence ^ 1))));
        }
        assert!(!arrivals.is_first(&run(1), MsgId::compose(0, 3, 77)));
        let seen = &arrivals.runs[&run(1)].ids;
        // As bitmaps they would be 250,000 bytes.
        assert!(seen.serialized_size() < 40_000, "{}", seen.serialized_size());
    }

    #[test]
    fn the_run_in_use_is_never_the_one_forgotten() {
        let mut arrivals = Bitmaps::default();
        let id = MsgId::compose(0, 0, 1);
        assert!(arrivals.is_first(&run(0), id));
        for n in 1..1000 {
            assert!(arrivals.is_first(&run(n), id));
            assert!(!arrivals.is_first(&run(0), id));
        }
        assert_eq!(arrivals.runs.len(), RUNS);
    }
}
