//! Sweeps side by side: what differs between them, what that does to throughput and arrival latency, and how sure that is.

mod change;
mod comparable;
mod differences;
mod figure;
mod sentences;
mod steps;

pub use change::{Certainty, Change, ChangeInterval, FigureChange, Method};
pub use comparable::CompareError;
pub use differences::Difference;
pub use figure::{Figure, Measure};
pub use sentences::percent;
pub use steps::StepFigures;

use crate::{Level, Report, distinct};
use serde::Serialize;
use std::collections::BTreeSet;

/// Several series over the same kind of level. `compare.json` is this, field by field (docs/compare.md).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The version of this shape.
    pub schema_version: u32,
    /// Whether the levels are rates, in requests a second, and not numbers of connections.
    pub by_rate: bool,
    /// The most important changes in words.
    pub sentences: Vec<String>,
    /// In the order in which they were named.
    pub series: Vec<Series>,
    /// What each further series changes, level by level, against the first one.
    pub changes: Vec<Change>,
    /// The settings in which they differ.
    pub differences: Vec<Difference>,
}

/// What was measured under one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// What people call it.
    pub label: String,
    /// The sweeps that it was measured in.
    pub sweeps: Vec<String>,
    /// One for each level, in rising order.
    pub points: Vec<Point>,
}

/// One level of a series, over all its repetitions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The rate, or else the concurrency.
    pub position: f64,
    /// How often it was measured.
    pub repetitions: usize,
    /// Its figures; one is absent where no repetition has it.
    pub figures: Vec<Figure>,
    /// Its steps, where users made the load.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepFigures>,
    /// Accepted messages that never arrived, in all repetitions together.
    pub lost: i64,
    /// Whether the load generator, and not the pipeline, limited any repetition.
    pub generator_limited: bool,
    /// Whether the pipeline did not keep up in any repetition: its latencies then tell of that duration alone.
    pub unstable: bool,
}

impl Comparison {
    /// The version of the shape that this program writes.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Compares reports, each with its label. Those that share a label are repetitions of one series.
    ///
    /// # Errors
    /// When the reports cannot be set side by side.
    pub fn new(reports: &[(String, Report)]) -> Result<Self, CompareError> {
        comparable::check_comparable(reports)?;
        let groups: Vec<(&str, Vec<&Report>)> = distinct(reports.iter().map(|(label, _)| label.as_str()))
            .into_iter()
            .map(|label| {
                (label, reports.iter().filter(|(other, _)| other == label).map(|(_, report)| report).collect())
            })
            .collect();
        let mut comparison = Self {
            schema_version: Self::SCHEMA_VERSION,
            by_rate: reports.iter().any(|(_, report)| report.is_by_rate()),
            sentences: Vec::new(),
            series: groups.iter().map(|(label, reports)| Series::new(label, reports)).collect(),
            changes: Vec::new(),
            differences: differences::between(&groups),
        };
        comparison.changes = Change::all(&comparison);
        comparison.sentences = sentences::all(&comparison);
        Ok(comparison)
    }

    /// Every level that any series has, in rising order.
    pub fn positions(&self) -> Vec<f64> {
        let mut positions: Vec<f64> = self.points().map(|point| point.position).collect();
        positions.sort_by(f64::total_cmp);
        positions.dedup();
        positions
    }

    /// The least and the most repetitions of any level.
    pub fn repetitions(&self) -> (usize, usize) {
        let counts: BTreeSet<usize> = self.points().map(|point| point.repetitions).collect();
        (counts.first().copied().unwrap_or_default(), counts.last().copied().unwrap_or_default())
    }

    /// Whether the load generator limited any series at this level.
    pub fn generator_limited(&self, position: f64) -> bool {
        self.points().any(|point| same(point.position, position) && point.generator_limited)
    }

    /// Whether any series did not keep up at this level.
    pub fn unstable(&self, position: f64) -> bool {
        self.points().any(|point| same(point.position, position) && point.unstable)
    }

    /// What a series changes at a level; absent for the first one.
    pub fn change(&self, series: &Series, position: f64) -> Option<&Change> {
        self.changes.iter().find(|change| change.series == series.label && same(change.position, position))
    }

    fn points(&self) -> impl Iterator<Item = &Point> {
        self.series.iter().flat_map(|series| &series.points)
    }
}

impl Series {
    fn new(label: &str, reports: &[&Report]) -> Self {
        let mut levels: Vec<(f64, &Level)> = reports
            .iter()
            .flat_map(|report| &report.levels)
            .filter_map(|level| Some((level.load.position()?, level)))
            .collect();
        levels.sort_by(|one, other| one.0.total_cmp(&other.0));
        Self {
            label: label.to_owned(),
            sweeps: reports.iter().map(|report| report.sweep.clone()).collect(),
            points: levels.chunk_by(|one, other| same(one.0, other.0)).map(Point::new).collect(),
        }
    }

    /// The point at this level, if it was measured.
    pub fn at(&self, position: f64) -> Option<&Point> {
        self.points.iter().find(|point| same(point.position, position))
    }
}

impl Point {
    fn new(levels: &[(f64, &Level)]) -> Self {
        Self {
            position: levels.first().map_or(0.0, |(position, _)| *position),
            repetitions: levels.len(),
            figures: Figure::all(levels),
            steps: StepFigures::all(levels),
            lost: levels.iter().fold(0, |lost, (_, level)| lost.saturating_add(level.books.lost)),
            generator_limited: levels.iter().any(|(_, level)| level.load.generator_limited.is_some()),
            unstable: levels.iter().any(|(_, level)| level.stability.unstable.is_some()),
        }
    }

    /// One of its figures, if any repetition has it.
    pub fn figure(&self, measure: Measure) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.measure == measure)
    }
}

/// Levels are read from text, never computed: the same level is the same number.
fn same(one: f64, other: f64) -> bool {
    one.total_cmp(&other).is_eq()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::labelled;

    #[test]
    fn repetitions_are_those_within_a_sweep_and_those_of_sweeps_that_share_a_label() {
        let mut reports = labelled(&["a", "b", "a"], &[1, 4, 4]);
        reports[0].1.levels[0].arrival.p50_us = Some(100);
        reports[2].1.levels[0].arrival.p50_us = Some(300);
        reports[2].1.levels[1].books.lost = 3;
        reports[2].1.levels[2].books.lost = 2;
        let comparison = Comparison::new(&reports).unwrap();
        let [a, b] = &comparison.series[..] else { panic!("{comparison:?}") };
        assert_eq!((a.label.as_str(), b.label.as_str()), ("a", "b"));
        assert_eq!(a.sweeps, ["sweep-0", "sweep-2"]);
        let p50 = a.at(1.0).unwrap().figure(Measure::ArrivalP50Us).unwrap();
        assert_eq!(p50.spread(), crate::Spread { least: 100.0, median: 200.0, most: 300.0 });
        assert_eq!((a.at(4.0).unwrap().repetitions, a.at(4.0).unwrap().lost), (4, 5));
        assert_eq!((b.at(4.0).unwrap().repetitions, b.at(4.0).unwrap().lost), (2, 0));
        assert_eq!((comparison.positions(), comparison.repetitions()), (vec![1.0, 4.0], (1, 4)));
    }

    #[test]
    fn a_level_that_one_sweep_lacks_is_a_gap_there() {
        let mut reports = labelled(&["a", "b"], &[1, 2, 3]);
        reports[1].1.levels.remove(1);
        let comparison = Comparison::new(&reports).unwrap();
        assert_eq!(comparison.positions(), [1.0, 2.0, 3.0]);
        assert!(comparison.series[0].at(2.0).is_some() && comparison.series[1].at(2.0).is_none());
    }
}
