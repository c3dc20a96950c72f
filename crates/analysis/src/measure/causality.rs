//! What is known of latencies between clocks that nobody has compared: no message arrives before it was sent.
//!
//! A stage's time is *F = T + θ*: the true time, and the offset of the clock that told it. For a message that passed stage *a* before stage
//! *b*, *F(b) − F(a) ≥ θ(b) − θ(a)*: the least difference over all messages bounds the offset between the two clocks from above. The same from *b* back to *a*, where
//! messages also pass the clocks that way, bounds it from below; bounds over several clocks add up, and the shortest way counts (Floyd and
//! Warshall 1962). Offsets are taken to stand still during a level.

use super::Evidence;
use crate::join::{Join, MISSING};
use crate::{CausalBound, ForeignLatency};
use std::collections::BTreeSet;

/// What is known of each latency of the level that different clocks tell.
pub(crate) fn all(evidence: &Evidence<'_>) -> Vec<CausalBound> {
    let Evidence { path, join, .. } = *evidence;
    let Some(offsets) = Offsets::of(join, path.len()) else { return Vec::new() };
    let whole =
        [(ForeignLatency::Arrival, (evidence.first(), evidence.last())), (ForeignLatency::User, (0, evidence.last()))];
    let hops = (1..path.len()).map(|to| (ForeignLatency::Hop(path[to].clone()), (to - 1, to)));
    whole.into_iter().chain(hops).filter_map(|(which, ends)| offsets.bound(join, which, ends)).collect()
}

/// Nothing is known.
const OPEN: i64 = i64::MAX;

/// The bounds of the offsets between all clocks of a level.
#[derive(Debug)]
pub(crate) struct Offsets {
    clocks: usize,
    /// By clock and clock: the offset of the second less that of the first is at most this, µs.
    most: Vec<i64>,
}

impl Offsets {
    /// Of the stages of the path; nothing where all are told by the log store's clock.
    pub(crate) fn of(join: &Join, path: usize) -> Option<Self> {
        let clocks = join.clocks().len();
        if clocks < 2 {
            return None;
        }
        let mut offsets = Self { clocks, most: vec![OPEN; clocks * clocks] };
        for clock in 0..clocks {
            *offsets.at(clock, clock) = 0;
        }
        for row in (0..join.messages()).filter(|&row| !join.is_torn(row)) {
            let passed: Vec<usize> = (0..path).filter(|&stage| join.time(stage, row) != MISSING).collect();
            for pair in passed.windows(2) {
                let &[from, to] = pair else { continue };
                let (one, other) = (join.clock(from, row), join.clock(to, row));
                if one != other {
                    let error: u32 = pair.iter().filter_map(|&stage| join.stated_error(stage, row)).sum();
                    let told = join.time(to, row) - join.time(from, row) + i64::from(error);
                    let most = offsets.at(one, other);
                    *most = told.min(*most);
                }
            }
        }
        offsets.close();
        Some(offsets)
    }

    fn at(&mut self, one: usize, other: usize) -> &mut i64 {
        &mut self.most[one * self.clocks + other]
    }

    /// Takes the shortest way between all pairs.
    fn close(&mut self) {
        for by in 0..self.clocks {
            for from in 0..self.clocks {
                for to in 0..self.clocks {
                    let (there, back) = (*self.at(from, by), *self.at(by, to));
                    if there != OPEN && back != OPEN {
                        let most = self.at(from, to);
                        *most = (there + back).min(*most);
                    }
                }
            }
        }
    }

    /// Whether what the clocks tell cannot be: one was set or ran away during the level, or the path has another order.
    fn contradict(&self) -> bool {
        (0..self.clocks).any(|clock| self.most[clock * self.clocks + clock] < 0)
    }

    /// What has to be added to a latency from a stage told by one clock to a stage told by the other, at least and at most, µs.
    fn correction(&self, from: usize, to: usize) -> (Option<i64>, Option<i64>) {
        let known = |most: i64| (most != OPEN).then_some(most);
        let (there, back) = (self.most[from * self.clocks + to], self.most[to * self.clocks + from]);
        (known(there).map(|us| -us), known(back))
    }

    /// The bound of the latency between these stages; nothing where one clock tells both.
    pub(crate) fn bound(&self, join: &Join, which: ForeignLatency, (from, to): (usize, usize)) -> Option<CausalBound> {
        let rows = (0..join.messages()).filter(|&row| join.time(from, row) != MISSING && join.time(to, row) != MISSING);
        let pairs: BTreeSet<(usize, usize)> = rows.map(|row| (join.clock(from, row), join.clock(to, row))).collect();
        if pairs.iter().all(|(one, other)| one == other) {
            return None;
        }
        let contradictory = self.contradict();
        let corrections = pairs.iter().map(|&(one, other)| self.correction(one, other));
        // Several processes may stamp a stage, each by its own clock: what holds for all of them.
        let hull = corrections.reduce(|known, next| {
            (
                known.0.zip(next.0).map(|(one, other)| one.min(other)),
                known.1.zip(next.1).map(|(one, other)| one.max(other)),
            )
        });
        let (low_us, high_us) = hull.filter(|_| !contradictory).unwrap_or_default();
        let clocks: BTreeSet<usize> = pairs.iter().flat_map(|&(one, other)| [one, other]).collect();
        let clocks = clocks.into_iter().map(|clock| join.clocks()[clock].clone()).collect();
        Some(CausalBound { latency: which, clocks, low_us, high_us, contradictory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stamp::Stamp;

    /// A message through three stages, of which the middle one is told by a clock that is 5,000 µs ahead.
    fn add(join: &mut Join, id: u64, times: [i64; 3], offset: i64) {
        let stamp = |time_us| Stamp { id, time_us, lag_us: None, err_us: Some(10), step: 0, foreign: false };
        join.add(0, &stamp(times[0]));
        join.add_foreign(1, &Stamp { foreign: true, err_us: None, ..stamp(times[1] + offset) }, "web-1");
        join.add(2, &stamp(times[2]));
    }

    fn bound(join: &Join, from: usize, to: usize) -> Option<CausalBound> {
        Offsets::of(join, 3)?.bound(join, ForeignLatency::Arrival, (from, to))
    }

    #[test]
    fn a_clock_between_two_others_is_bounded_on_both_sides() {
        for offset in [5000, 0, -5000] {
            let mut join = Join::new(3);
            for (id, times) in [(1, [1000, 1300, 1900]), (2, [2000, 2500, 2700]), (3, [3000, 3400, 3800])] {
                add(&mut join, id, [times[0] + 10_000, times[1] + 10_000, times[2] + 10_000], offset);
            }
            // The quickest way there takes 300 µs, the quickest way back 200; each stamp of ours may be off by 10.
            let there = bound(&join, 0, 1).unwrap();
            assert_eq!((there.low_us, there.high_us), (Some(-(300 + 10) - offset), Some(200 + 10 - offset)));
            assert_eq!(there.clocks, ["log store", "web-1"]);
            let back = bound(&join, 1, 2).unwrap();
            assert_eq!((back.low_us, back.high_us), (Some(-(200 + 10) + offset), Some(300 + 10 + offset)));
            assert_eq!(bound(&join, 0, 2), None);
        }
    }

    #[test]
    fn a_clock_at_the_end_is_bounded_on_one_side() {
        let mut join = Join::new(2);
        join.add(0, &Stamp { id: 1, time_us: 1000, lag_us: None, err_us: None, step: 0, foreign: false });
        join.add_foreign(1, &Stamp { id: 1, time_us: 1700, lag_us: None, err_us: None, step: 0, foreign: true }, "x");
        let bound = Offsets::of(&join, 2).unwrap().bound(&join, ForeignLatency::Arrival, (0, 1)).unwrap();
        assert_eq!((bound.low_us, bound.high_us, bound.contradictory), (Some(-700), None, false));
    }

    #[test]
    fn a_clock_that_is_set_contradicts_itself() {
        let mut join = Join::new(3);
        add(&mut join, 1, [10_000, 10_300, 10_900], 5000);
        add(&mut join, 2, [20_000, 20_300, 20_900], -5000);
        let bound = bound(&join, 0, 1).unwrap();
        assert!(bound.contradictory && bound.low_us.is_none());
    }

    #[test]
    fn without_foreign_clocks_there_is_nothing_to_tell() {
        assert!(Offsets::of(&Join::new(3), 3).is_none());
    }
}
