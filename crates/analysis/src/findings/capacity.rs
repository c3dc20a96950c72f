//! The highest load that the pipeline carries within a limit.

use crate::Report;
use serde::{Deserialize, Serialize};

/// The highest load that was carried: nothing lost, nothing refused, no growing queue, and p99 of arrival latency within the limit, in every
/// repetition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The level: its rate, or else its concurrency.
    pub position: f64,
    /// Messages that arrived a second; the median of its repetitions.
    pub delivered_per_sec: f64,
    /// Its 99th percentile of arrival latency, µs; the highest of its repetitions.
    pub p99_us: i64,
    /// Whether the confidence interval of that reaches beyond the limit.
    pub doubtful: bool,
    /// Whether a higher level was measured and not carried: else the pipeline may carry more than the sweep asked of it.
    pub bounded: bool,
}

impl Capacity {
    pub(crate) fn of(report: &Report) -> Option<Self> {
        let limit = report.p99_limit_us;
        // Of a load that changes there is no capacity.
        if report.levels.iter().any(|level| level.load.scenario.as_ref().is_some_and(|scenario| scenario.staged)) {
            return None;
        }
        let groups = || report.levels.chunk_by(|one, other| one.load.position() == other.load.position());
        let carried = |levels: &&[crate::Level]| levels.iter().all(|level| level.is_within(limit) == Some(true));
        let capacity = |levels: &[crate::Level]| {
            let rates: Vec<f64> = levels.iter().filter_map(crate::Level::delivered_per_sec).collect();
            let beyond = |level: &crate::Level| {
                let high = level.arrival.ci95.p99.map(|interval| interval.high_us.map(|us| level.at_most_us(us)));
                high.is_some_and(|high| high.is_none_or(|us| i128::from(us) > i128::from(limit)))
            };
            Some(Self {
                position: levels[0].load.position()?,
                delivered_per_sec: super::Spread::of(rates)?.median,
                p99_us: levels.iter().filter_map(|level| Some(level.at_most_us(level.arrival.p99_us?))).max()?,
                doubtful: levels.iter().any(beyond),
                bounded: false,
            })
        };
        let mut best = groups()
            .filter(carried)
            .filter_map(capacity)
            .max_by(|one, other| one.delivered_per_sec.total_cmp(&other.delivered_per_sec))?;
        best.bounded = groups()
            .filter(|levels| levels.iter().any(|level| level.is_within(limit) == Some(false)))
            .any(|levels| levels[0].load.position().is_some_and(|position| position > best.position));
        Some(best)
    }
}
