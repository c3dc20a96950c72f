//! Percentiles of latencies, and how sure they are. Pure.
//!
//! Percentiles are nearest-rank, or Kaplan-Meier where messages were still under way; intervals come from order statistics. docs/method.md has
//! the methods and their sources.

mod binomial;
#[cfg(test)]
mod coverage;
mod dependence;
mod interval;
mod random;
pub mod ratio;
pub mod student;
mod survival;

use interval::{lower_rank, ranks};
pub use random::Random;
use serde::{Deserialize, Serialize};
pub(crate) use survival::Survival;

/// A percentile that reports tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Percentile {
    /// The median.
    P50,
    /// 90 %.
    P90,
    /// 95 %.
    P95,
    /// 99 %.
    P99,
    /// 99.9 %.
    P999,
}

impl Percentile {
    /// All of them, rising.
    pub const ALL: [Self; 5] = [Self::P50, Self::P90, Self::P95, Self::P99, Self::P999];

    /// The part of all values that lies at it or below.
    pub fn quantile(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P95 => 0.95,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
        }
    }

    /// The size of the smallest sample that bounds it from both sides with 95 % confidence; of a smaller one it is not told.
    pub fn least_count(self) -> u64 {
        match self {
            Self::P50 => 6,
            Self::P90 => 36,
            Self::P95 => 72,
            Self::P99 => 368,
            Self::P999 => 3688,
        }
    }

    /// `p50`, `p999`: as it is called in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p999",
        }
    }
}

/// A latency distribution in microseconds. A percentile is absent where the sample is too small to bound it from above: p50 needs 6
/// values, p90 36, p95 72, p99 368 and p99.9 3,688. Values may be below zero: they are what the clock said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Messages measured.
    pub count: u64,
    /// Messages that had begun and not ended: known to take longer than they had lasted by then. They enter the percentiles as such
    /// (right-censored), and neither mean nor maximum.
    pub censored: u64,
    /// Arithmetic mean of those measured, µs.
    pub mean_us: Option<f64>,
    /// Median, µs.
    pub p50_us: Option<i64>,
    /// 90th percentile, µs.
    pub p90_us: Option<i64>,
    /// 95th percentile, µs.
    pub p95_us: Option<i64>,
    /// 99th percentile, µs.
    pub p99_us: Option<i64>,
    /// 99.9th percentile, µs.
    pub p999_us: Option<i64>,
    /// The longest of those measured, µs.
    pub max_us: Option<i64>,
    /// How sure the percentiles are.
    pub ci95: Intervals,
}

/// The 95 % confidence interval of each percentile; absent with its percentile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the interval of the percentile that it is named after")]
pub struct Intervals {
    pub p50: Option<Interval>,
    pub p90: Option<Interval>,
    pub p95: Option<Interval>,
    pub p99: Option<Interval>,
    pub p999: Option<Interval>,
}

/// A 95 % confidence interval, µs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low_us: i64,
    /// Its upper end; absent where that lies beyond all that was seen to end.
    pub high_us: Option<i64>,
    /// How many independent values tell as much: fewer than were measured where neighbours in time are alike.
    pub effective_count: u64,
}

impl Distribution {
    /// Computes the distribution of latencies in µs. Both lists are in the order in which the messages began, so that it shows whether
    /// neighbours are alike; of the censored ones it holds how long they had lasted when they were last seen.
    pub fn of(measured: &[i64], censored: &[i64]) -> Self {
        Self::with(measured, &Survival::new(measured.to_vec(), censored.to_vec()))
    }

    /// The same, where their order by size is known already.
    pub fn with(measured: &[i64], survival: &Survival) -> Self {
        let count = measured.len();
        let sum: i128 = measured.iter().map(|&latency| i128::from(latency)).sum();
        // Where too few values lie beyond a percentile to see whether neighbours are alike, they are as much so as at the one before.
        let mut effect = 1.0;
        let [p50, p90, p95, p99, p999] = Percentile::ALL.map(|percentile| {
            let quantile = percentile.quantile();
            ranks(survival.len() as u64, quantile)?;
            let us = survival.quantile(quantile)?;
            effect = dependence::design_effect(measured, us, quantile).unwrap_or(effect);
            Some((us, interval_at(survival, quantile, effect)?))
        });
        let us = |estimate: Option<(i64, Interval)>| estimate.map(|(us, _)| us);
        let interval = |estimate: Option<(i64, Interval)>| estimate.map(|(_, interval)| interval);
        Self {
            count: count as u64,
            censored: survival.censored() as u64,
            mean_us: (count > 0).then(|| sum as f64 / count as f64),
            p50_us: us(p50),
            p90_us: us(p90),
            p95_us: us(p95),
            p99_us: us(p99),
            p999_us: us(p999),
            max_us: survival.max(),
            ci95: Intervals {
                p50: interval(p50),
                p90: interval(p90),
                p95: interval(p95),
                p99: interval(p99),
                p999: interval(p999),
            },
        }
    }

    /// A percentile, µs.
    pub fn percentile(&self, percentile: Percentile) -> Option<i64> {
        match percentile {
            Percentile::P50 => self.p50_us,
            Percentile::P90 => self.p90_us,
            Percentile::P95 => self.p95_us,
            Percentile::P99 => self.p99_us,
            Percentile::P999 => self.p999_us,
        }
    }

    /// Its 95 % confidence interval.
    pub fn interval(&self, percentile: Percentile) -> Option<Interval> {
        match percentile {
            Percentile::P50 => self.ci95.p50,
            Percentile::P90 => self.ci95.p90,
            Percentile::P95 => self.ci95.p95,
            Percentile::P99 => self.ci95.p99,
            Percentile::P999 => self.ci95.p999,
        }
    }
}

/// The interval of a quantile from a sample that tells as much as one that is `effect` times smaller.
fn interval_at(survival: &Survival, quantile: f64, effect: f64) -> Option<Interval> {
    // A count divided by a factor of at least 1.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let effective_count = ((survival.len() as f64 / effect).round() as u64).max(1);
    let n = effective_count as f64;
    // Where it tells too little to bound an end, that is the smallest value, or none.
    let low = lower_rank(effective_count, quantile).map_or(0.0, |rank| rank / n);
    let high = lower_rank(effective_count, 1.0 - quantile).map_or(f64::INFINITY, |rank| (n + 1.0 - rank) / n);
    let (low_us, high_us) = (survival.at(low, f64::floor)?, survival.at(high, f64::ceil));
    Some(Interval { low_us, high_us, effective_count })
}
