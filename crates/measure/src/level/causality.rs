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

/// Between more clocks than that nothing is bounded: a host has one, and pipelines are smaller.
const MOST_CLOCKS: usize = 64;

/// Names of clocks that a bound tells.
const TOLD_CLOCKS: usize = 8;

/// The bounds of the offsets between all clocks of a level.
#[derive(Debug)]
pub(crate) struct Offsets {
    clocks: Clocks,
    /// By clock and clock: the offset of the second less that of the first is at most this, µs. Empty where there are too many.
    most: Vec<i64>,
    /// Clocks that contradict others.
    wrong: BTreeSet<usize>,
}

/// The clocks of a level, by number: foreign ones, and behind them each time scale of the log store's, as it was set between two of them.
#[derive(Debug)]
struct Clocks {
    foreign: usize,
    scales: Vec<u32>,
}

impl Clocks {
    fn of(join: &Join) -> Self {
        let scales: BTreeSet<u32> = (0..join.messages()).map(|row| join.scale(row)).collect();
        Self { foreign: join.clocks().len() - 1, scales: scales.into_iter().collect() }
    }

    fn len(&self) -> usize {
        self.foreign + self.scales.len()
    }

    /// Which has told when a message passed a stage.
    fn which(&self, join: &Join, stage: usize, row: usize) -> usize {
        match join.clock(stage, row) {
            0 => self.foreign + self.scales.binary_search(&join.scale(row)).unwrap_or(0),
            foreign => foreign - 1,
        }
    }

    fn name<'a>(&self, join: &'a Join, clock: usize) -> &'a str {
        let number = if clock < self.foreign { clock + 1 } else { 0 };
        &join.clocks()[number]
    }
}

impl Offsets {
    /// Of the stages of the path; nothing where all are told by the log store's clock.
    pub(crate) fn of(join: &Join, path: usize) -> Option<Self> {
        if join.clocks().len() < 2 {
            return None;
        }
        let clocks = Clocks::of(join);
        let mut offsets = Self { most: Vec::new(), wrong: BTreeSet::new(), clocks };
        if offsets.clocks.len() <= MOST_CLOCKS {
            offsets.gather(join, path);
            offsets.leave_out_wrong_ones();
            offsets.close();
        }
        Some(offsets)
    }

    /// What each message says of the clocks that it passed one after the other.
    fn gather(&mut self, join: &Join, path: usize) {
        let clocks = self.clocks.len();
        self.most = vec![OPEN; clocks * clocks];
        for clock in 0..clocks {
            *self.at(clock, clock) = 0;
        }
        let rows = (0..join.messages()).filter(|&row| !join.is_torn(row) && !join.is_mixed(row));
        for row in rows {
            let passed: Vec<usize> = (0..path).filter(|&stage| join.time(stage, row) != MISSING).collect();
            for pair in passed.windows(2) {
                let &[from, to] = pair else { continue };
                let (one, other) = (self.clocks.which(join, from, row), self.clocks.which(join, to, row));
                // A foreign clock's error is its offset, which is what is looked for. A plain stamp is late by nobody knows how much.
                let error = |stage: usize| match join.clock(stage, row) {
                    0 => join.stated_error(stage, row).map(i64::from),
                    _ => Some(0),
                };
                if one != other
                    && let (Some(begin), Some(end)) = (error(from), error(to))
                {
                    let told = join.time(to, row) - join.time(from, row) + begin + end;
                    let most = self.at(one, other);
                    *most = told.min(*most);
                }
            }
        }
    }

    fn at(&mut self, one: usize, other: usize) -> &mut i64 {
        &mut self.most[one * self.clocks.len() + other]
    }

    fn most(&self, one: usize, other: usize) -> i64 {
        self.most.get(one * self.clocks.len() + other).copied().unwrap_or(OPEN)
    }

    /// Whether two clocks say that a message came back before it left.
    fn contradict(&self, one: usize, other: usize) -> bool {
        let (there, back) = (self.most(one, other), self.most(other, one));
        there != OPEN && back != OPEN && there.saturating_add(back) < 0
    }

    /// Clocks that were set during the level, or ran away: whoever contradicts most others goes first, foreign clocks before the log store's.
    fn leave_out_wrong_ones(&mut self) {
        loop {
            let left: Vec<usize> = (0..self.clocks.len()).filter(|clock| !self.wrong.contains(clock)).collect();
            let contradicted = |clock: usize| left.iter().filter(|&&other| self.contradict(clock, other)).count();
            let worst = left.iter().copied().max_by_key(|&clock| (contradicted(clock), clock < self.clocks.foreign));
            let Some(worst) = worst.filter(|&clock| contradicted(clock) > 0) else { return };
            self.wrong.insert(worst);
        }
    }

    /// Takes the shortest way between all pairs.
    fn close(&mut self) {
        let left: Vec<usize> = (0..self.clocks.len()).filter(|clock| !self.wrong.contains(clock)).collect();
        for &by in &left {
            for &from in &left {
                for &to in &left {
                    let (there, back) = (self.most(from, by), self.most(by, to));
                    if there != OPEN && back != OPEN {
                        let most = self.at(from, to);
                        *most = there.saturating_add(back).min(*most);
                    }
                }
            }
        }
        // Over more than two clocks, nobody knows who is wrong.
        if left.iter().any(|&clock| self.most(clock, clock) < 0) {
            self.wrong.extend(left);
        }
    }

    /// What has to be added to a latency from a stage told by one clock to a stage told by the other, at least and at most, µs.
    fn correction(&self, from: usize, to: usize) -> (Option<i64>, Option<i64>) {
        if from == to {
            return (Some(0), Some(0));
        }
        let known = |most: i64| (most != OPEN).then_some(most);
        (known(self.most(from, to)).map(|us| -us), known(self.most(to, from)))
    }

    /// The bound of the latency between these stages; nothing where one clock tells both.
    pub(crate) fn bound(&self, join: &Join, which: ForeignLatency, (from, to): (usize, usize)) -> Option<CausalBound> {
        let both =
            |row: &usize| join.time(from, *row) != MISSING && join.time(to, *row) != MISSING && !join.is_torn(*row);
        let clocks = |row: usize| (self.clocks.which(join, from, row), self.clocks.which(join, to, row));
        let pairs: BTreeSet<(usize, usize)> = (0..join.messages()).filter(both).map(clocks).collect();
        if pairs.iter().all(|(one, other)| one == other) {
            return None;
        }
        let told: BTreeSet<usize> = pairs.iter().flat_map(|&(one, other)| [one, other]).collect();
        let contradictory = told.iter().any(|clock| self.wrong.contains(clock));
        let corrections = pairs.iter().map(|&(one, other)| self.correction(one, other));
        // Several processes may stamp a stage, each by its own clock: what holds for all of them.
        let hull = corrections.reduce(|known, next| {
            (
                known.0.zip(next.0).map(|(one, other)| one.min(other)),
                known.1.zip(next.1).map(|(one, other)| one.max(other)),
            )
        });
        let (low_us, high_us) = hull.filter(|_| !contradictory).unwrap_or_default();
        let mut names: Vec<String> = Vec::new();
        for clock in told {
            let name = self.clocks.name(join, clock);
            if names.iter().all(|known| known != name) {
                names.push(name.to_owned());
            }
        }
        let more = names.len().saturating_sub(TOLD_CLOCKS);
        if more > 0 {
            names.truncate(TOLD_CLOCKS);
            names.push(format!("{more} more"));
        }
        Some(CausalBound { latency: which, clocks: names, low_us, high_us, contradictory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stamp::Stamp;

    /// A message through three stages, of which the middle one is told by a clock that is 5,000 µs ahead.
    fn add(join: &mut Join, id: u64, times: [i64; 3], offset: i64) {
        let stamp = |time_us: i64| Stamp { id, time_us, lag_us: None, err_us: Some(10), step: 0, foreign: false };
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
            assert_eq!(there.clocks, ["web-1", "log store"]);
            let back = bound(&join, 1, 2).unwrap();
            assert_eq!((back.low_us, back.high_us), (Some(-(200 + 10) + offset), Some(300 + 10 + offset)));
            assert_eq!(bound(&join, 0, 2), None);
        }
    }

    #[test]
    fn a_clock_at_the_end_is_bounded_on_one_side() {
        let mut join = Join::new(2);
        join.add(0, &Stamp { id: 1, time_us: 1000, lag_us: None, err_us: Some(0), step: 0, foreign: false });
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
    fn one_wrong_clock_leaves_the_others_as_they_are() {
        let mut join = Join::new(3);
        for (id, times, clock, offset) in
            [(1, [0, 300, 900], "sound", 40), (2, [0, 300, 900], "set", 5000), (3, [0, 300, 900], "set", -5000)]
        {
            let stamp = |time_us: i64| Stamp {
                id,
                time_us: time_us + 10_000,
                lag_us: None,
                err_us: Some(0),
                step: 0,
                foreign: false,
            };
            join.add(0, &stamp(times[0]));
            join.add_foreign(1, &Stamp { foreign: true, err_us: None, ..stamp(times[1] + offset) }, clock);
            join.add(2, &stamp(times[2]));
        }
        let offsets = Offsets::of(&join, 3).unwrap();
        assert_eq!(offsets.wrong, BTreeSet::from([1]));
        assert_eq!(offsets.correction(2, 0), (Some(-340), Some(560)));
    }

    #[test]
    fn plain_stamps_bound_nothing() {
        let mut join = Join::new(3);
        for (id, late) in [(1, 0), (2, 1500)] {
            let stamp = |time_us: i64| Stamp { id, time_us, lag_us: None, err_us: None, step: 0, foreign: false };
            join.add(0, &stamp(10_000 + late));
            join.add_foreign(1, &Stamp { foreign: true, ..stamp(11_000) }, "web-1");
            join.add(2, &stamp(12_000));
        }
        let bound = bound(&join, 0, 1).unwrap();
        assert_eq!((bound.low_us, bound.high_us, bound.contradictory), (None, None, false));
    }

    #[test]
    fn a_message_that_passed_a_stage_by_two_clocks_bounds_nothing() {
        let mut join = Join::new(3);
        for id in 0..10 {
            let stamp = |time_us: i64| Stamp {
                id,
                time_us: time_us + 100_000,
                lag_us: None,
                err_us: Some(0),
                step: 0,
                foreign: false,
            };
            let foreign = |time_us| Stamp { foreign: true, err_us: None, ..stamp(time_us) };
            join.add(0, &stamp(0));
            join.add_foreign(1, &foreign(1000), "x");
            // Delivered again to a host whose clock is 5 ms behind.
            if id % 3 == 0 {
                join.add_foreign(1, &foreign(1400 - 5000), "y");
            }
            join.add(2, &stamp(2000));
        }
        let offsets = Offsets::of(&join, 3).unwrap();
        assert_eq!(offsets.correction(2, 0), (Some(-1000), Some(1000)));
        assert_eq!(offsets.correction(2, 1), (None, None));
    }

    #[test]
    fn each_time_scale_of_the_log_store_is_a_clock_of_its_own() {
        let mut join = Join::new(3);
        // The log store's clock is set by 6 ms between the two.
        for (id, step, set) in [(1, 0, 0), (2, 1, 6000)] {
            let stamp = |time_us: i64| Stamp {
                id,
                time_us: time_us + 100_000,
                lag_us: None,
                err_us: Some(0),
                step,
                foreign: false,
            };
            join.add(0, &stamp(set));
            join.add_foreign(1, &Stamp { foreign: true, err_us: None, ..stamp(1000) }, "x");
            join.add(2, &stamp(2000 + set));
        }
        let bound = bound(&join, 0, 1).unwrap();
        assert_eq!((bound.low_us, bound.high_us, bound.contradictory), (Some(-1000), Some(7000), false));
    }

    #[test]
    fn between_too_many_clocks_nothing_is_told() {
        let mut join = Join::new(2);
        for id in 0..200 {
            let stamp = |time_us: i64| Stamp { id, time_us, lag_us: None, err_us: Some(0), step: 0, foreign: false };
            join.add(0, &stamp(1000));
            join.add_foreign(1, &Stamp { foreign: true, err_us: None, ..stamp(2000) }, &format!("host-{id}"));
        }
        let bound = Offsets::of(&join, 2).unwrap().bound(&join, ForeignLatency::Arrival, (0, 1)).unwrap();
        assert_eq!((bound.low_us, bound.high_us, bound.clocks.len()), (None, None, TOLD_CLOCKS + 1));
    }

    #[test]
    fn without_foreign_clocks_there_is_nothing_to_tell() {
        assert!(Offsets::of(&Join::new(3), 3).is_none());
    }
}
