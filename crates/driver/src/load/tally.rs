//! What a load has measured, in memory that does not grow with its length.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest latency that the histogram tells apart, µs: anything above an hour counts as an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// The result of one load.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Requests sent.
    pub(crate) requests: u64,
    /// Requests that were not accepted, by kind.
    pub(crate) errors: BTreeMap<String, u64>,
    /// From the intended send to the whole answer, of accepted requests, µs.
    pub(crate) latency: Histogram<u64>,
    /// From the first request to the last answer.
    pub(crate) duration: Duration,
}

/// A load under way: the last moments of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Live {
    /// Accepted requests a second.
    pub(crate) requests_per_sec: f64,
    /// Median latency, µs.
    pub(crate) p50_us: u64,
    /// 99th percentile latency, µs.
    pub(crate) p99_us: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { requests: 0, errors: BTreeMap::new(), latency: histogram(), duration: Duration::ZERO }
    }

    /// Notes an accepted request.
    pub(crate) fn accept(&mut self, latency: Duration) {
        record(&mut self.latency, latency);
    }

    /// Notes a request that was not accepted.
    pub(crate) fn fail(&mut self, kind: &str) {
        match self.errors.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                self.errors.insert(kind.to_owned(), 1);
            }
        }
    }

    /// Requests that were accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.latency.len()
    }

    /// The same as the report shows it.
    pub(crate) fn http(&self) -> reporter::Http {
        reporter::Http {
            duration_us: microseconds(self.duration),
            requests: self.requests,
            accepted: self.accepted(),
            errors: self.errors.clone(),
            mean_us: self.latency.mean(),
            p50_us: self.latency.value_at_quantile(0.5),
            p99_us: self.latency.value_at_quantile(0.99),
            max_us: self.latency.max(),
        }
    }
}

impl Live {
    /// Sums up what a histogram gathered in `period`.
    pub(crate) fn of(latency: &Histogram<u64>, period: Duration) -> Self {
        Self {
            requests_per_sec: latency.len() as f64 / period.as_secs_f64(),
            p50_us: latency.value_at_quantile(0.5),
            p99_us: latency.value_at_quantile(0.99),
        }
    }
}

/// Records a latency; one below 1 µs counts as 1 µs, one above an hour as an hour.
pub(crate) fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    // The value is clamped to the histogram's range, so that this cannot fail.
    let _ = histogram.record(microseconds(latency).clamp(1, LONGEST_US));
}

/// Three significant digits, from 1 µs up to an hour.
pub(crate) fn histogram() -> Histogram<u64> {
    // These bounds are valid by the histogram's own rules.
    Histogram::new_with_bounds(1, LONGEST_US, 3).unwrap_or_else(|_| unreachable!("the bounds are constants"))
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
