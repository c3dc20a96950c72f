//! What is compared: a level's figures, each over its repetitions. Pure.

use crate::statistics::ratio::Bounded;
use crate::{Distribution, Http, Interval, Intervals, Level, Spread};
use serde::Serialize;

/// A figure that levels are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Messages that the API took a second.
    AcceptedPerSec,
    /// Messages that arrived a second, until the last one had arrived.
    DeliveredPerSec,
    /// Median arrival latency, µs.
    ArrivalP50Us,
    /// 90th percentile of arrival latency, µs.
    ArrivalP90Us,
    /// 99th percentile of arrival latency, µs.
    ArrivalP99Us,
    /// CPU time of all services, Redis and the broker together for each message that arrived, µs.
    CpuUsPerMessage,
}

/// One figure of a level over its repetitions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Which.
    pub measure: Measure,
    /// One for each repetition that has it.
    pub values: Vec<f64>,
    /// Their median.
    pub median: f64,
    /// The 95 % confidence interval of each of them, where it has one that is closed.
    pub intervals: Vec<Option<(f64, f64)>>,
}

impl Measure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::AcceptedPerSec,
        Self::DeliveredPerSec,
        Self::ArrivalP50Us,
        Self::ArrivalP90Us,
        Self::ArrivalP99Us,
        Self::CpuUsPerMessage,
    ];

    /// Its value at one level, with its interval where it is a percentile.
    fn of(self, level: &Level) -> Option<(f64, Option<(f64, f64)>)> {
        let percentile = |us: fn(&Distribution) -> Option<i64>, interval: fn(&Intervals) -> Option<Interval>| {
            let ends = interval(&level.arrival.ci95).and_then(|ends| Some((ends.low_us as f64, ends.high_us? as f64)));
            us(&level.arrival).map(|us| (us as f64, ends))
        };
        let alone = |value: Option<f64>| value.map(|value| (value, None));
        match self {
            Self::AcceptedPerSec => alone(level.load.http.as_ref().and_then(Http::accepted_per_sec)),
            Self::DeliveredPerSec => alone(level.delivered_per_sec()),
            Self::ArrivalP50Us => percentile(|arrival| arrival.p50_us, |ci95| ci95.p50),
            Self::ArrivalP90Us => percentile(|arrival| arrival.p90_us, |ci95| ci95.p90),
            Self::ArrivalP99Us => percentile(|arrival| arrival.p99_us, |ci95| ci95.p99),
            Self::CpuUsPerMessage => alone(level.cpu_us_per_message()),
        }
    }

    /// Whether one measurement alone has an interval.
    pub(crate) fn is_percentile(self) -> bool {
        matches!(self, Self::ArrivalP50Us | Self::ArrivalP90Us | Self::ArrivalP99Us)
    }
}

impl Figure {
    /// The figures that these levels, repetitions of one setting, have.
    pub(crate) fn all(levels: &[(f64, &Level)]) -> Vec<Self> {
        let figure = |measure: Measure| {
            let found = levels.iter().filter_map(|(_, level)| measure.of(level));
            let (values, intervals): (Vec<f64>, Vec<_>) = found.unzip();
            let median = Spread::of(values.iter().copied())?.median;
            Some(Self { measure, values, median, intervals })
        };
        Measure::ALL.into_iter().filter_map(figure).collect()
    }

    /// The least, the median and the most of the repetitions.
    pub fn spread(&self) -> Spread {
        let one = Spread { least: self.median, median: self.median, most: self.median };
        Spread::of(self.values.iter().copied()).unwrap_or(one)
    }

    /// The ends of its bar in the picture: of the interval where it was measured once, else of the spread.
    pub fn bar(&self) -> (f64, f64) {
        match self.intervals[..] {
            [Some(ends)] => ends,
            _ => (self.spread().least, self.spread().most),
        }
    }

    /// Everything together: from the lowest lower end of an interval to the highest upper one, around the geometric mean. `None` where an interval
    /// is missing or a value is not above 0.
    pub(crate) fn pooled(&self) -> Option<Bounded> {
        let ends: Option<Vec<(f64, f64)>> = self.intervals.iter().copied().collect();
        let ends = ends.filter(|ends| !ends.is_empty() && self.is_positive())?;
        let low = ends.iter().map(|ends| ends.0).fold(f64::INFINITY, f64::min);
        let high = ends.iter().map(|ends| ends.1).fold(0.0, f64::max);
        Some(Bounded { low, value: self.geometric_mean(), high })
    }

    /// Whether a ratio to it makes sense.
    pub(crate) fn is_positive(&self) -> bool {
        self.values.iter().all(|value| *value > 0.0)
    }

    /// Of the repetitions.
    pub(crate) fn geometric_mean(&self) -> f64 {
        (self.values.iter().map(|value| value.ln()).sum::<f64>() / self.values.len() as f64).exp()
    }
}
