//! The books: what became of every message, sampled or not. Pure.

use crate::Load;
use serde::{Deserialize, Serialize};
use stamp::{Counts, Stage};

/// Exact counts of all messages: accepted + unanswered = arrived + late + in flight + lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    /// Messages that the load generator got a 2xx for; where another program made the load, those that were enqueued.
    pub accepted: u64,
    /// Messages that the queue got, or that arrived, although the load generator never got its 2xx, as when Redis or a connection fails in the
    /// middle of a request.
    pub unanswered: u64,
    /// Messages that reached the last stage by the cut-off, duplicates apart.
    pub arrived: u64,
    /// Messages that reached it after the cut-off.
    pub late: u64,
    /// Messages that are still on their way: what waited in the queue at the cut-off; or all that had not arrived, where they still moved.
    pub in_flight: u64,
    /// The rest.
    pub lost: i64,
    /// The rest by the stage that the messages were lost on the way to; their sum is `lost`.
    pub lost_by_hop: Vec<(Stage, i64)>,
    /// Arrivals of messages that had arrived before.
    pub duplicates: u64,
    /// Messages that were refused because the queue was full; they are in no other figure.
    pub shed: u64,
    /// Messages counted at each stage, in path order, duplicates included.
    pub passed: Vec<(Stage, u64)>,
}

impl Accounting {
    /// The books of a load, from its counters as they are now.
    pub fn new(load: &Load, path: &[Stage], counts: &Counts) -> Self {
        let passed: Vec<(Stage, u64)> = path.iter().map(|stage| (stage.clone(), counts.get(stage.as_str()))).collect();
        let duplicates = counts.get("duplicates");
        let accepted = load.accepted_messages().unwrap_or_else(|| accepted_elsewhere(path, counts));
        let arrived_by_now = passed.last().map_or(0, |(_, count)| count.saturating_sub(duplicates));
        // What has arrived was taken in, though who took it in died before it wrote its last counts.
        let known = counts.get(Stage::ENQUEUE.as_str()).max(arrived_by_now);
        let unanswered = known.saturating_sub(accepted);
        let taken_in = accepted + unanswered;
        let missing = taken_in.cast_signed() - arrived_by_now.cast_signed();
        let (late, in_flight) = match &load.cutoff {
            None => (0, 0),
            Some(cutoff) => {
                let late = arrived_by_now.saturating_sub(cutoff.arrived);
                let under_way = if cutoff.moving { taken_in.saturating_sub(cutoff.arrived) } else { cutoff.queue }
                    .saturating_sub(late);
                (late, under_way.min(u64::try_from(missing).unwrap_or(0)))
            }
        };
        let lost = missing - in_flight.cast_signed();
        Self {
            accepted,
            unanswered,
            arrived: arrived_by_now - late,
            late,
            in_flight,
            lost,
            lost_by_hop: lost_by_hop(&passed, taken_in, arrived_by_now, in_flight),
            duplicates,
            shed: counts.get("shed"),
            passed,
        }
    }

    /// Whether the figures add up to what was taken in.
    pub fn is_balanced(&self) -> bool {
        let found = (self.arrived + self.late + self.in_flight).cast_signed() + self.lost;
        let by_hop: i64 = self.lost_by_hop.iter().map(|(_, lost)| lost).sum();
        found == (self.accepted + self.unanswered).cast_signed() && by_hop == self.lost
    }
}

/// Messages that a pipeline took in under the load of another program: those that its queue got, or else those that its
/// first stage saw.
fn accepted_elsewhere(path: &[Stage], counts: &Counts) -> u64 {
    counts.get(path[intake(path)].as_str())
}

/// The stage from which on a message belongs to the pipeline.
fn intake(path: &[Stage]) -> usize {
    path.iter().position(|stage| *stage == Stage::ENQUEUE).unwrap_or(0)
}

/// How many messages each hop lost, of those that were taken in. Where a stage counted more than the one before it, messages came to it twice:
/// as nobody knows whether these would fill a gap behind it, they are set against the losses of the next hops.
fn lost_by_hop(passed: &[(Stage, u64)], taken_in: u64, arrived: u64, in_flight: u64) -> Vec<(Stage, i64)> {
    let path: Vec<Stage> = passed.iter().map(|(stage, _)| stage.clone()).collect();
    let last = passed.len() - 1;
    let first = (intake(&path) + 1).min(last);
    // What is in flight waits in the queue, in front of the stage behind the intake.
    let mut before = taken_in.cast_signed() - in_flight.cast_signed();
    let mut surplus = 0;
    let mut lost = Vec::new();
    for (index, (stage, count)) in passed.iter().enumerate().skip(first) {
        let here = if index == last { arrived } else { *count }.cast_signed();
        let gone = before - here + surplus;
        let told = if index == last { gone } else { gone.max(0) };
        surplus = gone - told;
        before = here;
        lost.push((stage.clone(), told));
    }
    // More has arrived than the last stages counted: a process that died had not written its last counts, and lost nothing.
    let uncounted = lost.last().map_or(0, |(_, last)| (-last).max(0));
    let mut rest = uncounted;
    for (_, told) in lost.iter_mut().rev().skip(1) {
        let none = rest.min(*told);
        *told -= none;
        rest -= none;
    }
    if let Some((_, last)) = lost.last_mut() {
        *last += uncounted - rest;
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cutoff, Http};
    use proptest::prelude::*;
    use stamp::Path;

    fn load(accepted: u64, cutoff: Option<Cutoff>) -> Load {
        Load { http: Some(Http { accepted, ..Http::default() }), cutoff, ..Load::foreign("r".parse().unwrap()) }
    }

    fn books(accepted: u64, cutoff: Option<Cutoff>, counted: &[(&str, u64)]) -> Accounting {
        let counts = counted.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Accounting::new(&load(accepted, cutoff), Path::default().stages(), &counts)
    }

    const STAGES: [&str; 6] = ["send", "apiserver", "enqueue", "pushserver", "publish", "mqttclient"];

    fn counted(counts: [u64; 6]) -> Vec<(&'static str, u64)> {
        STAGES.into_iter().zip(counts).collect()
    }

    #[test]
    fn each_loss_is_named() {
        let books = books(100, None, &counted([110, 105, 101, 98, 98, 90]));
        assert_eq!((books.accepted, books.unanswered, books.arrived, books.lost), (100, 1, 90, 11));
        let by_hop: Vec<i64> = books.lost_by_hop.iter().map(|(_, lost)| *lost).collect();
        assert_eq!(by_hop, [3, 0, 8]);
        assert!(books.is_balanced());
    }

    #[test]
    fn what_waits_is_in_flight_and_not_lost() {
        let cutoff = Cutoff { at_us: 5, moving: false, queue: 20, arrived: 70 };
        let now = books(100, Some(cutoff.clone()), &counted([100, 100, 100, 79, 79, 70]));
        assert_eq!((now.arrived, now.in_flight, now.lost, now.late), (70, 20, 10, 0));
        assert_eq!(now.lost_by_hop[0].1, 1);
        // Later, some of what waited has arrived.
        let later = books(100, Some(cutoff), &counted([100, 100, 100, 87, 87, 78]));
        assert_eq!((later.arrived, later.in_flight, later.lost, later.late), (70, 12, 10, 8));
        assert!(now.is_balanced() && later.is_balanced());
    }

    #[test]
    fn what_still_moves_is_all_in_flight() {
        let cutoff = Cutoff { at_us: 5, moving: true, queue: 20, arrived: 70 };
        let books = books(100, Some(cutoff), &counted([100, 100, 100, 75, 75, 70]));
        assert_eq!((books.arrived, books.in_flight, books.lost), (70, 30, 0));
        assert!(books.is_balanced());
    }

    #[test]
    fn a_message_that_comes_again_hides_no_loss_before_it() {
        let mut counts = counted([100, 100, 100, 90, 95, 95]);
        counts.push(("duplicates", 5));
        let books = books(100, None, &counts);
        assert_eq!((books.arrived, books.duplicates, books.lost), (90, 5, 10));
        let by_hop: Vec<i64> = books.lost_by_hop.iter().map(|(_, lost)| *lost).collect();
        assert_eq!(by_hop, [10, 0, 0]);
    }

    #[test]
    fn a_stage_that_died_before_it_wrote_its_counts_lost_nothing() {
        let books = books(100, None, &counted([100, 100, 100, 60, 60, 100]));
        assert_eq!(books.lost, 0);
        assert!(books.lost_by_hop.iter().all(|(_, lost)| *lost == 0), "{books:?}");
        let books = self::books(98, None, &counted([100, 60, 60, 100, 100, 100]));
        assert_eq!((books.unanswered, books.lost), (2, 0));
    }

    proptest! {
        #[test]
        fn the_books_balance_whatever_was_counted(
            accepted in 0u64..1000,
            counts in prop::array::uniform6(0u64..1000),
            duplicates in 0u64..50,
            cutoff in prop::option::of((any::<bool>(), 0u64..1000, 0u64..1000)),
        ) {
            let cutoff = cutoff.map(|(moving, queue, arrived)| Cutoff { at_us: 0, moving, queue, arrived });
            let mut counts = counted(counts);
            counts.push(("duplicates", duplicates));
            let books = books(accepted, cutoff, &counts);
            prop_assert!(books.is_balanced() && books.lost_by_hop.iter().all(|(_, lost)| *lost >= 0), "{books:?}");
        }
    }
}
