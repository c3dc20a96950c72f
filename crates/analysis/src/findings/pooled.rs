//! Repetitions of one setting: how far they lie apart, and what they tell together.

use crate::{Histograms, Level, Report};
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
    /// that repetitions with different sampling are weighed by what they carried. What had not arrived counts as at a level.
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
        let arrived = together(levels, |histograms| histograms.arrival.as_ref());
        let under_way = together(levels, |histograms| histograms.under_way.as_ref());
        let at = |level| quantile(&arrived, &under_way, level);
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

/// One histogram of these levels, in which each sampled message counts as many times as it stands for messages.
fn together(levels: &[Level], of: fn(&Histograms) -> Option<&Histogram<u64>>) -> Histogram<u64> {
    let mut sum = Histogram::new(3).unwrap_or_else(|_| unreachable!("three significant digits are valid"));
    sum.auto(true);
    for level in levels {
        let sampled = (level.arrival.count + level.arrival.censored).max(1);
        let stands_for = ((level.books.accepted + level.books.unanswered + sampled / 2) / sampled).max(1);
        for value in of(&level.histograms).iter().flat_map(|histogram| histogram.iter_recorded()) {
            // It grows as needed, and fails at sums beyond 2^64 alone.
            let _ = sum.record_n(value.value_iterated_to(), value.count_at_value() * stands_for);
        }
    }
    sum
}

/// The latency that this part of all messages do not exceed, by the product limit as for a level (`statistics::Survival`); none where it lies beyond all arrivals.
fn quantile(arrived: &Histogram<u64>, under_way: &Histogram<u64>, level: f64) -> Option<u64> {
    let mut last_seen = under_way.iter_recorded().peekable();
    let mut at_risk = arrived.len() + under_way.len();
    let mut rest = 1.0;
    for value in arrived.iter_recorded() {
        while let Some(seen) = last_seen.next_if(|seen| seen.value_iterated_to() < value.value_iterated_to()) {
            at_risk -= seen.count_at_value();
        }
        rest *= 1.0 - value.count_at_value() as f64 / at_risk as f64;
        at_risk -= value.count_at_value();
        if rest <= 1.0 - level + 1e-12 {
            return Some(value.value_iterated_to());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Distribution;
    use crate::fixture::report_of;

    #[test]
    fn what_never_arrived_counts_for_all_repetitions_together() {
        let arrived: Vec<i64> = (1..=990).collect();
        let under_way = [[500; 5], [2000; 5]].concat();
        let mut level = report_of(&[1]).levels.remove(0);
        level.arrival = Distribution::of(&arrived, &under_way);
        level.books.accepted = 1000;
        let histogram = |latencies: &[i64]| {
            let mut histogram = Histogram::new(3).unwrap();
            for latency in latencies {
                histogram.record(latency.unsigned_abs()).unwrap();
            }
            Some(histogram)
        };
        (level.histograms.arrival, level.histograms.under_way) = (histogram(&arrived), histogram(&under_way));
        let pooled = Pooled::of(&[level.clone(), level.clone()]);
        let told = |us: Option<i64>| us.map(i64::unsigned_abs);
        assert_eq!(pooled.together_p50_us, told(level.arrival.p50_us));
        assert_eq!(pooled.together_p99_us, told(level.arrival.p99_us));
        assert_ne!(pooled.together_p99_us, Some(981), "that of the arrivals alone");
    }
}
