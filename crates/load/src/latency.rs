//! Histograms of latencies.

use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest latency that the histogram tells apart, µs: anything above an hour counts as an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// What a histogram holds: its values and how often each is there, ascending.
#[must_use]
pub fn recorded(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram.iter_recorded().map(|value| (value.value_iterated_to(), value.count_since_last_iteration())).collect()
}

/// A percentile, or none where fewer than 10 values lie beyond it: too few to say anything.
#[must_use]
pub fn percentile(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    let beyond = histogram.len() as f64 * (1.0 - quantile);
    // 10,000 values have 10 beyond p99.9; the product may come out a hair below.
    (beyond > 10.0 - 1e-6).then(|| histogram.value_at_quantile(quantile))
}

/// Records a latency; one below 1 µs counts as 1 µs, one above an hour as an hour.
pub(crate) fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    // The value is clamped to the histogram's range, so that this cannot fail.
    let _ = histogram.record(microseconds(latency).clamp(1, LONGEST_US));
}

/// Three significant digits, from 1 µs up to an hour.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    // These bounds are valid by the histogram's own rules.
    Histogram::new_with_bounds(1, LONGEST_US, 3).unwrap_or_else(|_| unreachable!("the bounds are constants"))
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_ten_values_beyond_it() {
        let mut values = histogram();
        for us in 1..10_000 {
            record(&mut values, Duration::from_micros(us));
        }
        assert_eq!((percentile(&values, 0.999), percentile(&values, 0.99).is_some()), (None, true));
        record(&mut values, Duration::from_secs(10));
        assert!(percentile(&values, 0.999).is_some());
    }
}
