//! What changed from the first series to another one, and how sure that is. Pure.

use super::{Comparison, Figure, Measure, Point};
use crate::statistics::ratio::{self, Bounded};
use serde::Serialize;

/// From so many repetitions of each side on, their own spread tells how sure a change is.
const ENOUGH: usize = 3;

/// What changed at one level.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The rate, or else the concurrency.
    pub position: f64,
    /// The label of the series that is compared with the first one.
    pub series: String,
    /// One for each figure that both have.
    pub figures: Vec<FigureChange>,
    /// By how many lost messages more, or fewer, than the first series; absent where the two were not repeated equally often.
    pub lost: Option<i64>,
}

/// How one figure changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FigureChange {
    /// Which.
    pub measure: Measure,
    /// What it was in the first series: the median of the repetitions.
    pub from: f64,
    /// What it is now.
    pub to: f64,
    /// By how much it changed: -0.37 for 37 % less. That is the ratio of geometric means of the repetitions, less 1; absent where a value is not
    /// above 0.
    pub relative: Option<f64>,
    /// The 95 % confidence interval of that, or why there is none.
    #[serde(flatten)]
    pub certainty: Certainty,
    /// Whether the interval excludes 0: that the change is more than chance.
    pub told_apart: bool,
}

/// How sure a change is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Its interval.
    Interval(ChangeInterval),
    /// Why it has none.
    NoInterval(String),
}

/// A 95 % confidence interval of a relative change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ChangeInterval {
    /// Its lower end: -0.45 for 45 % less.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How it came about.
    pub method: Method,
}

/// How the interval of a change came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// From the interval that each of the two measurements has by itself (MOVER). It knows nothing of how measurements differ from day to day.
    Mover,
    /// The same, from the lowest to the highest end that the intervals of a side's repetitions have.
    MoverPooled,
    /// From how far the repetitions lie apart (Welch's t interval of the logarithms).
    Welch,
}

impl Change {
    /// Every level that the first series and another one share.
    pub(crate) fn all(comparison: &Comparison) -> Vec<Self> {
        let Some((first, others)) = comparison.series.split_first() else { return Vec::new() };
        let change = |position: f64, other: &super::Series| {
            Some(Self::new(first.at(position)?, other.at(position)?, &other.label))
        };
        let positions = comparison.positions();
        others.iter().flat_map(|other| positions.iter().filter_map(move |&position| change(position, other))).collect()
    }

    fn new(from: &Point, to: &Point, label: &str) -> Self {
        let both = |measure: Measure| Some(FigureChange::new(from.figure(measure)?, to.figure(measure)?));
        Self {
            position: to.position,
            series: label.to_owned(),
            figures: Measure::ALL.into_iter().filter_map(both).collect(),
            lost: (from.repetitions == to.repetitions).then(|| to.lost.saturating_sub(from.lost)),
        }
    }

    /// How this figure changed.
    pub fn of(&self, measure: Measure) -> Option<&FigureChange> {
        self.figures.iter().find(|change| change.measure == measure)
    }
}

impl FigureChange {
    fn new(from: &Figure, to: &Figure) -> Self {
        let relative =
            (from.is_positive() && to.is_positive()).then(|| to.geometric_mean() / from.geometric_mean() - 1.0);
        let certainty = certainty(from, to);
        let told_apart = matches!(certainty, Certainty::Interval(ends) if ends.low > 0.0 || ends.high < 0.0);
        Self { measure: from.measure, from: from.median, to: to.median, relative, certainty, told_apart }
    }

    /// The interval, where there is one.
    pub fn interval(&self) -> Option<ChangeInterval> {
        match self.certainty {
            Certainty::Interval(interval) => Some(interval),
            Certainty::NoInterval(_) => None,
        }
    }
}

fn certainty(from: &Figure, to: &Figure) -> Certainty {
    let repetitions = from.values.len().min(to.values.len());
    if !from.is_positive() || !to.is_positive() {
        return Certainty::NoInterval("a value of 0 or below is in no ratio".to_owned());
    }
    if repetitions >= ENOUGH {
        let alike = "the repetitions are all alike".to_owned();
        return ratio::welch(&from.values, &to.values)
            .map_or(Certainty::NoInterval(alike), |ratio| interval(ratio, Method::Welch));
    }
    if !from.measure.is_percentile() {
        return Certainty::NoInterval(format!("it takes {ENOUGH} repetitions of each side"));
    }
    let open = "the sample does not bound it from both sides".to_owned();
    let method = if from.values.len() == 1 && to.values.len() == 1 { Method::Mover } else { Method::MoverPooled };
    let ratio = from.pooled().zip(to.pooled()).and_then(|(from, to)| ratio::mover(from, to));
    ratio.map_or(Certainty::NoInterval(open), |ratio| interval(ratio, method))
}

fn interval(ratio: Bounded, method: Method) -> Certainty {
    Certainty::Interval(ChangeInterval { low: ratio.low - 1.0, high: ratio.high - 1.0, method })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{measured, of_levels};

    fn change(from: &[(i64, i64, i64)], to: &[(i64, i64, i64)], measure: Measure) -> FigureChange {
        let report = |sweep: &str, levels: &[(i64, i64, i64)]| {
            (sweep.to_owned(), of_levels(sweep, levels.iter().map(|&ends| measured(ends))))
        };
        let comparison = Comparison::new(&[report("a", from), report("b", to)]).unwrap();
        comparison.changes[0].of(measure).unwrap().clone()
    }

    fn shown(change: &FigureChange) -> String {
        let percent = |part: f64| (part * 1000.0).round() / 10.0;
        let certainty = match &change.certainty {
            Certainty::Interval(ends) => format!("[{}, {}] {:?}", percent(ends.low), percent(ends.high), ends.method),
            Certainty::NoInterval(why) => why.clone(),
        };
        let apart = if change.told_apart { "told apart" } else { "not told apart" };
        format!("{} -> {}, {:?} % {certainty}, {apart}", change.from, change.to, change.relative.map(percent))
    }

    #[test]
    fn one_measurement_of_each_is_as_sure_as_their_own_intervals() {
        let p99 = |from, to| shown(&change(&[from], &[to], Measure::ArrivalP99Us));
        insta::assert_snapshot!(p99((3900, 4100, 4400), (2500, 2600, 2700)), @"4100 -> 2600, Some(-36.6) % [-41.5, -32.5] Mover, told apart");
        insta::assert_snapshot!(p99((3900, 4100, 4400), (3700, 4000, 4300)), @"4100 -> 4000, Some(-2.4) % [-12.2, 6.5] Mover, not told apart");
    }

    #[test]
    fn three_repetitions_tell_by_their_own_spread() {
        let from = [(990, 1000, 1010), (1090, 1100, 1110), (1190, 1200, 1210)];
        let to = [(790, 800, 810), (890, 900, 910), (990, 1000, 1010)];
        insta::assert_snapshot!(shown(&change(&from, &to, Measure::ArrivalP99Us)), @"1100 -> 900, Some(-18.3) % [-35.4, 3.3] Welch, not told apart");
        // Two against three: the intervals of all together.
        insta::assert_snapshot!(shown(&change(&from[..2], &to, Measure::ArrivalP99Us)), @"1050 -> 900, Some(-14.5) % [-25.6, -2.4] MoverPooled, told apart");
        insta::assert_snapshot!(shown(&change(&from[..1], &[(490, 500, 510)], Measure::ArrivalP99Us)), @"1000 -> 500, Some(-50.0) % [-51.1, -48.9] Mover, told apart");
    }

    #[test]
    fn what_has_no_interval_says_why() {
        let p99 = |from: &[(i64, i64, i64)], to: &[(i64, i64, i64)]| shown(&change(from, to, Measure::ArrivalP99Us));
        insta::assert_snapshot!(p99(&[(-5, 0, 5)], &[(1, 2, 3)]), @"0 -> 2, None % a value of 0 or below is in no ratio, not told apart");
        insta::assert_snapshot!(p99(&[(5, 8, i64::MAX)], &[(1, 2, 3)]), @"8 -> 2, Some(-75.0) % the sample does not bound it from both sides, not told apart");
        insta::assert_snapshot!(p99(&[(5, 8, 9); 3], &[(1, 2, 3); 3]), @"8 -> 2, Some(-75.0) % the repetitions are all alike, not told apart");
        insta::assert_snapshot!(shown(&change(&[(5, 8, 9)], &[(1, 2, 3)], Measure::AcceptedPerSec)), @"26666.6 -> 26666.6, Some(0.0) % it takes 3 repetitions of each side, not told apart");
    }

    #[test]
    fn lost_messages_are_compared_where_both_were_repeated_equally_often() {
        let lost = |repetitions: usize| {
            let mut reports =
                ["a", "b"].map(|sweep| (sweep.to_owned(), of_levels(sweep, (0..2).map(|_| measured((1, 2, 3))))));
            reports[1].1.levels[0].books.lost = 7;
            reports[1].1.levels.truncate(repetitions);
            Comparison::new(&reports).unwrap().changes[0].lost
        };
        assert_eq!((lost(2), lost(1)), (Some(7), None));
    }
}
