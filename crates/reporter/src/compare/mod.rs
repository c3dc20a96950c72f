//! Sweeps side by side: what differs between them, and what that does to throughput and arrival latency.

mod command;
mod differences;
mod source;

pub use command::{CompareArgs, compare};
pub use differences::Difference;
pub use source::CompareError;

use crate::{Http, Level, Report, Spread};
use std::collections::BTreeSet;

/// Several series over the same kind of level.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Whether the levels are rates, in requests a second, and not numbers of connections.
    pub by_rate: bool,
    /// In the order in which they were named.
    pub series: Vec<Series>,
    /// The settings in which they differ.
    pub differences: Vec<Difference>,
}

/// What was measured under one label.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What people call it.
    pub label: String,
    /// The sweeps that it was measured in.
    pub sweeps: Vec<String>,
    /// One for each level, in rising order.
    pub points: Vec<Point>,
}

/// One level of a series, over all its repetitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The rate, or else the concurrency.
    pub position: f64,
    /// How often it was measured.
    pub repetitions: usize,
    /// Messages that the API took a second; absent where another program made the load.
    pub accepted_per_sec: Option<Spread>,
    /// Median arrival latency, µs; absent where no sampled message arrived.
    pub arrival_p50_us: Option<Spread>,
    /// 99th percentile of arrival latency, µs.
    pub arrival_p99_us: Option<Spread>,
    /// Accepted messages that never arrived, in all repetitions together.
    pub lost: i64,
    /// Whether the load generator, and not the pipeline, limited any repetition.
    pub generator_limited: bool,
}

impl Comparison {
    /// Compares reports, each with its label. Those that share a label are repetitions of one series.
    ///
    /// # Errors
    /// When the reports cannot be set side by side.
    pub fn new(reports: &[(String, Report)]) -> Result<Self, CompareError> {
        source::check_comparable(reports)?;
        let mut labels: Vec<&str> = Vec::new();
        for (label, _) in reports {
            if !labels.contains(&label.as_str()) {
                labels.push(label);
            }
        }
        let groups: Vec<(&str, Vec<&Report>)> = labels
            .into_iter()
            .map(|label| {
                (label, reports.iter().filter(|(other, _)| other == label).map(|(_, report)| report).collect())
            })
            .collect();
        Ok(Self {
            by_rate: reports.iter().any(|(_, report)| source::by_rate(report)),
            series: groups.iter().map(|(label, reports)| Series::new(label, reports)).collect(),
            differences: differences::between(&groups),
        })
    }

    /// Every level that any series has, in rising order.
    #[must_use]
    pub fn positions(&self) -> Vec<f64> {
        let mut positions: Vec<f64> = self.points().map(|point| point.position).collect();
        positions.sort_by(f64::total_cmp);
        positions.dedup();
        positions
    }

    /// The least and the most repetitions of any level.
    #[must_use]
    pub fn repetitions(&self) -> (usize, usize) {
        let counts: BTreeSet<usize> = self.points().map(|point| point.repetitions).collect();
        (counts.first().copied().unwrap_or_default(), counts.last().copied().unwrap_or_default())
    }

    /// Whether the load generator limited any series at this level.
    #[must_use]
    pub fn generator_limited(&self, position: f64) -> bool {
        self.points().any(|point| same(point.position, position) && point.generator_limited)
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
    #[must_use]
    pub fn at(&self, position: f64) -> Option<&Point> {
        self.points.iter().find(|point| same(point.position, position))
    }
}

impl Point {
    fn new(levels: &[(f64, &Level)]) -> Self {
        let spread = |value: fn(&Level) -> Option<f64>| Spread::of(levels.iter().filter_map(|(_, level)| value(level)));
        Self {
            position: levels.first().map_or(0.0, |(position, _)| *position),
            repetitions: levels.len(),
            accepted_per_sec: spread(|level| level.load.http.as_ref().map(Http::requests_per_sec)),
            arrival_p50_us: spread(|level| level.arrival.p50_us.map(|us| us as f64)),
            arrival_p99_us: spread(|level| level.arrival.p99_us.map(|us| us as f64)),
            lost: levels.iter().fold(0, |lost, (_, level)| lost.saturating_add(level.books.lost)),
            generator_limited: levels.iter().any(|(_, level)| level.load.generator_limited.is_some()),
        }
    }
}

/// Levels are read from text, never computed: the same level is the same number.
fn same(one: f64, other: f64) -> bool {
    one.total_cmp(&other).is_eq()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::chart::tests::report_of;

    /// Reports of their own sweeps under these labels.
    pub(crate) fn labelled(labels: &[&str], levels: &[u32]) -> Vec<(String, Report)> {
        let report = |(index, label): (usize, &&str)| {
            let report = Report { sweep: format!("sweep-{index}"), ..report_of(levels) };
            ((*label).to_owned(), report)
        };
        labels.iter().enumerate().map(report).collect()
    }

    #[test]
    fn a_spread_has_the_middle_and_the_ends() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([4.0]), Some(Spread { least: 4.0, median: 4.0, most: 4.0 }));
        assert_eq!(Spread::of([9.0, 1.0, 3.0, 4.0]), Some(Spread { least: 1.0, median: 3.5, most: 9.0 }));
    }

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
        assert_eq!(a.at(1.0).unwrap().arrival_p50_us, Some(Spread { least: 100.0, median: 200.0, most: 300.0 }));
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
