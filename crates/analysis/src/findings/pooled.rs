//! Repetitions of one setting: how far they lie apart, and what they tell together.

use crate::{Level, Report};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// One setting over its repetitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pooled {
    /// The rate, or else the concurrency; absent where another program made the load.
    pub position: Option<f64>,
    /// How often it was measured.
    pub repetitions: usize,
    /// Messages that arrived a second.
    pub delivered_per_sec: Option<Spread>,
    /// Medians of arrival latency, µs.
    pub arrival_p50_us: Option<Spread>,
    /// 99th percentiles of arrival latency, µs.
    pub arrival_p99_us: Option<Spread>,
    /// Median of all repetitions' messages together, µs, to three digits: each sampled message counts as many times as it stands for messages, so
    /// that repetitions with different sampling are weighed by what they carried.
    pub together_p50_us: Option<u64>,
    /// 99th percentile of the same, µs.
    pub together_p99_us: Option<u64>,
}

/// One figure over the repetitions that have it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The smallest.
    pub least: f64,
    /// The middle one; between two middle ones their mean.
    pub median: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    /// The spread of these values; `None` where there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (&least, &most) = (sorted.first()?, sorted.last()?);
        let (lower, upper) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Self { least, median: f64::midpoint(lower, upper), most })
    }
}

impl Pooled {
    pub(crate) fn all(report: &Report) -> Vec<Self> {
        let groups = report.levels.chunk_by(|one, other| one.load.position() == other.load.position());
        groups.map(Self::of).collect()
    }

    fn of(levels: &[Level]) -> Self {
        let spread = |value: fn(&Level) -> Option<f64>| Spread::of(levels.iter().filter_map(value));
        let together = together(levels);
        let at = |quantile| together.as_ref().map(|histogram| histogram.value_at_quantile(quantile));
        let told = |value: fn(&Level) -> Option<i64>| levels.iter().any(|level| value(level).is_some());
        Self {
            position: levels[0].load.position(),
            repetitions: levels.len(),
            delivered_per_sec: spread(Level::delivered_per_sec),
            arrival_p50_us: spread(|level| level.arrival.p50_us.map(|us| us as f64)),
            arrival_p99_us: spread(|level| level.arrival.p99_us.map(|us| us as f64)),
            together_p50_us: at(0.5).filter(|_| told(|level| level.arrival.p50_us)),
            together_p99_us: at(0.99).filter(|_| told(|level| level.arrival.p99_us)),
        }
    }
}

/// One histogram of all messages of these levels, as far as they have their own.
fn together(levels: &[Level]) -> Option<Histogram<u64>> {
    let mut sum: Option<Histogram<u64>> = None;
    for level in levels {
        let Some(histogram) = level.histograms.arrival.as_ref().filter(|histogram| !histogram.is_empty()) else {
            continue;
        };
        let sum = sum.get_or_insert_with(|| Histogram::new_from(histogram));
        sum.auto(true);
        let stands_for = ((level.books.arrived + histogram.len() / 2) / histogram.len()).max(1);
        for value in histogram.iter_recorded() {
            // It grows as needed, and fails at sums beyond 2^64 alone.
            let _ = sum.record_n(value.value_iterated_to(), value.count_at_value() * stands_for);
        }
    }
    sum
}
