//! Arrivals in this process's memory: exact for as long as it lives.

use roaring::RoaringTreemap;
use stamp::{MsgId, RunId};
use std::collections::HashMap;

/// Runs that are remembered. The one that has been still for longest makes room for a new one.
const RUNS: usize = 64;

/// The ids that have arrived, by run. The load generator's ids are dense, so that a bitmap takes about a bit
/// each; ids that are spread at random take some 200 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Bitmaps {
    runs: HashMap<RunId, Seen>,
    clock: u64,
}

#[derive(Debug, Default)]
struct Seen {
    ids: RoaringTreemap,
    touched: u64,
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
