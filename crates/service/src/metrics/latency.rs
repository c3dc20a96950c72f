//! A histogram of durations that costs two atomic additions for each of them.
//!
//! The histogram of prometheus-client stands behind a lock and searches its buckets from the smallest up: both are paid on
//! the message path.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;

/// The upper bounds of a latency's buckets, ns: three for each power of ten, from 50 µs to a minute. What is longer falls into
/// one more bucket.
#[rustfmt::skip]
pub const BOUNDS_NS: [u64; 20] = [
    MS / 20, MS / 10, MS / 5, MS / 2, MS, 2 * MS, 5 * MS, 10 * MS, 20 * MS, 50 * MS,
    S / 10, S / 5, S / 2, S, 2 * S, 5 * S, 10 * S, 20 * S, 50 * S, 60 * S,
];

/// How long messages take from one stage to another. Cheap to clone; all clones are the same histogram.
#[derive(Debug, Clone, Default)]
pub struct Latency {
    histogram: Arc<Histogram>,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS_NS.len() + 1],
    sum_ns: AtomicU64,
}

impl Latency {
    /// Notes one message.
    pub fn observe(&self, latency: Duration) {
        // The sum would overflow after 584 years of latency.
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NS.partition_point(|&bound| bound < ns);
        self.histogram.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.histogram.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }
}

impl TypedMetric for Latency {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Latency {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bounds = BOUNDS_NS.iter().map(|&bound| seconds(bound)).chain([f64::INFINITY]);
        let counts = self.histogram.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // Counted from the buckets, so that the two agree whatever is noted meanwhile.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum_seconds = seconds(self.histogram.sum_ns.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum_seconds, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    #[test]
    fn each_bucket_holds_what_is_no_longer_than_its_bound() {
        let (latency, mut registry) = (Latency::default(), Registry::default());
        registry.register("latency", "Latency", latency.clone());
        for us in [0, 50, 51, 1_500, 60_000_000, 60_000_001] {
            latency.observe(Duration::from_micros(us));
        }
        let mut encoded = String::new();
        encode(&mut encoded, &registry).unwrap();
        insta::assert_snapshot!(encoded, @r#"
        # HELP latency Latency.
        # TYPE latency histogram
        latency_sum 120.001602
        latency_count 6
        latency_bucket{le="0.00005"} 2
        latency_bucket{le="0.0001"} 3
        latency_bucket{le="0.0002"} 3
        latency_bucket{le="0.0005"} 3
        latency_bucket{le="0.001"} 3
        latency_bucket{le="0.002"} 4
        latency_bucket{le="0.005"} 4
        latency_bucket{le="0.01"} 4
        latency_bucket{le="0.02"} 4
        latency_bucket{le="0.05"} 4
        latency_bucket{le="0.1"} 4
        latency_bucket{le="0.2"} 4
        latency_bucket{le="0.5"} 4
        latency_bucket{le="1.0"} 4
        latency_bucket{le="2.0"} 4
        latency_bucket{le="5.0"} 4
        latency_bucket{le="10.0"} 4
        latency_bucket{le="20.0"} 4
        latency_bucket{le="50.0"} 4
        latency_bucket{le="60.0"} 5
        latency_bucket{le="+Inf"} 6
        # EOF
        "#);
    }
}
