//! Percentiles of latencies.

use serde::{Deserialize, Serialize};

/// A latency distribution in microseconds; every value is absent where there was nothing to measure. Values may be below
/// zero: they are what the clock said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Messages measured.
    pub count: u64,
    /// Arithmetic mean, µs.
    pub mean_us: Option<f64>,
    /// Median, µs.
    pub p50_us: Option<i64>,
    /// 90th percentile, µs.
    pub p90_us: Option<i64>,
    /// 99th percentile, µs.
    pub p99_us: Option<i64>,
    /// 99.9th percentile, µs.
    pub p999_us: Option<i64>,
    /// The longest, µs.
    pub max_us: Option<i64>,
}

impl Distribution {
    /// Computes the distribution of latencies in µs, in any order.
    #[must_use]
    pub fn of(mut latencies: Vec<i64>) -> Self {
        latencies.sort_unstable();
        let count = latencies.len();
        let sum: i128 = latencies.iter().map(|&latency| i128::from(latency)).sum();
        Self {
            count: count as u64,
            mean_us: (count > 0).then(|| sum as f64 / count as f64),
            p50_us: quantile(&latencies, 500),
            p90_us: quantile(&latencies, 900),
            p99_us: quantile(&latencies, 990),
            p999_us: quantile(&latencies, 999),
            max_us: latencies.last().copied(),
        }
    }
}

/// The nearest-rank quantile: the smallest value that at least `per_mille` thousandths of all values do not exceed
/// (Hyndman & Fan 1996, definition 1).
fn quantile(sorted: &[i64], per_mille: usize) -> Option<i64> {
    let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_to_a_thousand() {
        let distribution = Distribution::of((1..=1000).rev().collect());
        let percentiles = [distribution.p50_us, distribution.p90_us, distribution.p99_us, distribution.p999_us];
        assert_eq!(percentiles, [Some(500), Some(900), Some(990), Some(999)]);
        assert_eq!((distribution.mean_us, distribution.max_us), (Some(500.5), Some(1000)));
    }

    #[test]
    fn nothing_to_measure() {
        assert_eq!(Distribution::of(Vec::new()), Distribution::default());
    }

    proptest! {
        #[test]
        fn a_quantile_splits_the_values_where_it_says(values in prop::collection::vec(-1000i64..1000, 1..300), per_mille in 1usize..=1000) {
            let mut sorted = values;
            sorted.sort_unstable();
            let found = quantile(&sorted, per_mille).unwrap();
            let share = |count: usize| count * 1000;
            prop_assert!(share(sorted.iter().filter(|&&v| v <= found).count()) >= per_mille * sorted.len());
            prop_assert!(share(sorted.iter().filter(|&&v| v < found).count()) < per_mille * sorted.len());
        }
    }
}
