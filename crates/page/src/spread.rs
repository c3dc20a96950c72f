//! Latencies as counts by value, in memory that does not grow with their number. Pure.

use serde::Serialize;
use std::collections::BTreeMap;

/// Values below this are kept to the microsecond; others to three significant digits, as HdrHistogram keeps them.
const EXACT_BITS: u32 = 11;

/// How latencies are spread, µs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    counts: BTreeMap<u64, u64>,
    n: u64,
    sum: u64,
}

/// The figures of a spread, µs; absent where there is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) n: u64,
    pub(crate) mean_us: Option<f64>,
    pub(crate) p50_us: Option<u64>,
    pub(crate) p90_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
    /// The 95 % confidence interval of p99 by order statistics; its upper end is absent where it lies beyond all values.
    pub(crate) p99_band_us: Option<(u64, Option<u64>)>,
    pub(crate) max_us: Option<u64>,
}

impl Spread {
    /// Takes in a latency; what is below zero counts as zero.
    pub(crate) fn note(&mut self, us: i64) {
        let us = u64::try_from(us).unwrap_or(0);
        self.add(highest_alike(us), 1, us);
    }

    /// Takes in values and how often each was there.
    pub(crate) fn extend(&mut self, recorded: impl IntoIterator<Item = (u64, u64)>) {
        for (us, count) in recorded {
            self.add(us, count, us.saturating_mul(count));
        }
    }

    /// Takes in all of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (&us, &count) in &other.counts {
            *self.counts.entry(us).or_default() += count;
        }
        self.n += other.n;
        self.sum = self.sum.saturating_add(other.sum);
    }

    fn add(&mut self, us: u64, count: u64, sum: u64) {
        if count > 0 {
            *self.counts.entry(us).or_default() += count;
            self.n += count;
            self.sum = self.sum.saturating_add(sum);
        }
    }

    pub(crate) fn n(&self) -> u64 {
        self.n
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts.iter().map(|(&us, &count)| (us, count))
    }

    pub(crate) fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum as f64 / self.n as f64)
    }

    pub(crate) fn max(&self) -> Option<u64> {
        self.counts.last_key_value().map(|(&us, _)| us)
    }

    /// The smallest value that this part of all is no longer than.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<u64> {
        // A rank is no larger than n, which is far below 2^52.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rank = (quantile * self.n as f64 - 1e-9).ceil() as u64;
        self.at_rank(rank.max(1))
    }

    /// The value at this place, counted from 1 in rising order.
    fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut seen = 0;
        self.counts.iter().find_map(|(&us, &count)| {
            seen += count;
            (seen >= rank).then_some(us)
        })
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures {
            n: self.n,
            mean_us: self.mean(),
            p50_us: self.quantile(0.5),
            p90_us: self.quantile(0.9),
            p99_us: self.quantile(0.99),
            p99_band_us: self.band(0.99),
            max_us: self.max(),
        }
    }

    /// The 95 % confidence interval of a quantile, by the normal approximation of the binomial ranks.
    fn band(&self, quantile: f64) -> Option<(u64, Option<u64>)> {
        let n = self.n as f64;
        let (middle, half) = (n * quantile, 1.96 * (n * quantile * (1.0 - quantile)).sqrt());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let (low, high) = ((middle - half).floor().max(1.0) as u64, (middle + half).ceil() as u64 + 1);
        Some((self.at_rank(low)?, self.at_rank(high)))
    }
}

/// What has been recorded since `before`: both ascending, `now` holding all of it.
pub(crate) fn since(before: &[(u64, u64)], now: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut before = before.iter().peekable();
    now.iter()
        .map(|&(us, count)| {
            while before.peek().is_some_and(|(other, _)| *other < us) {
                before.next();
            }
            let known = before.peek().filter(|(other, _)| *other == us).map_or(0, |(_, count)| *count);
            (us, count.saturating_sub(known))
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The highest value that is kept as the same as this one.
fn highest_alike(us: u64) -> u64 {
    let shift = (u64::BITS - us.leading_zeros()).saturating_sub(EXACT_BITS);
    us | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use load::{histogram, recorded};

    #[test]
    fn figures_are_those_of_a_histogram() {
        let (mut spread, mut reference) = (Spread::default(), histogram());
        let mut us = 1u64;
        for step in 0..20_000u64 {
            us = us.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step);
            let latency = (us >> 33) % 3_000_000;
            spread.note(latency.cast_signed());
            reference.saturating_record(latency);
        }
        for quantile in [0.001, 0.5, 0.9, 0.99, 0.999, 1.0] {
            assert_eq!(spread.quantile(quantile), Some(reference.value_at_quantile(quantile)), "{quantile}");
        }
        assert_eq!(spread.values().collect::<Vec<_>>(), recorded(&reference));
        let band = spread.figures().p99_band_us.unwrap();
        assert!(band.0 < reference.value_at_quantile(0.99) && band.1.unwrap() > reference.value_at_quantile(0.99));
    }

    #[test]
    fn nothing_has_no_figures() {
        assert_eq!(Spread::default().figures(), Figures::default());
    }

    #[test]
    fn what_came_since() {
        let before = [(10, 1), (30, 2)];
        assert_eq!(since(&before, &[(5, 1), (10, 1), (30, 5), (40, 1)]), [(5, 1), (30, 3), (40, 1)]);
        assert_eq!(since(&[], &before), before);
    }
}
