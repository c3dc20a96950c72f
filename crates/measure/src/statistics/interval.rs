//! Confidence intervals of quantiles from order statistics: they assume nothing of the distribution's shape.

use super::binomial::at_least;

/// What lies beyond each end of a 95 % interval.
const BEYOND: f64 = 0.025;

/// The ranks, counted from 1 and with fractions, of the values in a sorted sample of `n` independent values between which the quantile lies
/// with 95 % confidence; `None` where the sample is too small to bound it on both sides.
///
/// The k-th smallest value lies at or below the quantile p with probability P(Bin(n, p) ≥ k) (H. A. David & H. N. Nagaraja, "Order Statistics",
/// 3rd edition 2003, section 7.1). Whole ranks cannot meet 95 % and would be too wide; between two of them the interpolation of
/// J. Nyblom (1992), "Note on interpolated order statistics", is used.
pub(crate) fn ranks(n: u64, p: f64) -> Option<(f64, f64)> {
    let low = lower_rank(n, p)?;
    // Seen from the largest value down, the upper end is a lower one.
    let high = (n + 1) as f64 - lower_rank(n, 1.0 - p)?;
    Some((low, high))
}

/// The rank that lies at or below the quantile p with probability 97.5 %.
pub(crate) fn lower_rank(n: u64, p: f64) -> Option<f64> {
    let confidence = 1.0 - BEYOND;
    if at_least(1, n, p) < confidence {
        return None;
    }
    // The largest k whose probability is high enough: it falls as k rises.
    let (mut enough, mut too_few) = (1, n + 1);
    while too_few - enough > 1 {
        let middle = u64::midpoint(enough, too_few);
        if at_least(middle, n, p) >= confidence {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    let k = enough;
    if k == n {
        return Some(n as f64);
    }
    let (here, next) = (at_least(k, n, p), at_least(k + 1, n, p));
    let (k, n) = (k as f64, n as f64);
    let toward_next = 1.0 / (1.0 + k * (1.0 - p) * (confidence - next) / ((n - k) * p * (here - confidence)));
    Some(k + toward_next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_samples_that_bound_a_quantile() {
        for percentile in crate::Percentile::ALL {
            let (p, least) = (percentile.quantile(), percentile.least_count());
            assert!(ranks(least - 1, p).is_none() && ranks(least, p).is_some(), "{p}");
        }
    }

    #[test]
    fn whole_ranks_are_met_where_they_fit() {
        // Bin(100, 1/2): P(X ≥ 40) = 0.98240 and P(X ≥ 41) = 0.97156, so that 97.5 % lies between ranks 40 and 41.
        let (low, high) = ranks(100, 0.5).unwrap();
        assert!((40.0..41.0).contains(&low), "{low}");
        assert!((low + high - 101.0).abs() < 1e-9, "symmetric about the middle");
    }

    #[test]
    fn a_large_sample_agrees_with_the_normal_approximation() {
        let (low, high) = ranks(1_000_000, 0.99).unwrap();
        let half = 1.959_964 * (1_000_000.0f64 * 0.99 * 0.01).sqrt();
        assert!((low - (990_000.5 - half)).abs() < 1.0 && (high - (990_000.5 + half)).abs() < 1.0, "{low} {high}");
    }
}
