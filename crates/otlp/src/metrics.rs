//! From the histograms of a level to those of OTLP. Pure.

use crate::SCHEMA_URL;
use crate::attribute::{scope, text};
use crate::services::Service;
use analysis::Level;
use hdrhistogram::Histogram;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics,
};

/// Buckets that one histogram may have: twice what SDKs allow by default, as there is one for each level and not one each ten seconds.
const MOST_BUCKETS: i64 = 320;

/// The finest scale: 1,024 buckets for each power of two are finer than three significant digits.
const FINEST: i32 = 10;

/// All latencies of a level: `stampede.arrival.duration`, `stampede.user.duration` and, for each hop, `stampede.hop.duration`. They are of the time of the
/// load, or where nobody tells that, from the first stamp to the last one (`stamped`, µs).
pub(crate) fn request(level: &Level, position: &str, stamped: (i64, i64)) -> ExportMetricsServiceRequest {
    let span = level.load.span_us.unwrap_or(stamped);
    let of_level = || vec![text("stampede.run", level.load.run.as_str()), text("stampede.level", position)];
    let histograms = &level.histograms;
    let whole = |name: &str, what: &str, histogram: &Option<Histogram<u64>>| {
        let points = histogram.iter().map(|histogram| point(histogram, span, of_level())).collect();
        metric(name, what, points)
    };
    let hops = level.hops.iter().zip(&histograms.hops).map(|(hop, histogram)| {
        let mut attributes = of_level();
        attributes.push(text("stampede.stage", hop.stage.as_str()));
        point(histogram, span, attributes)
    });
    let metrics = [
        whole("stampede.arrival.duration", "From the API server's stamp to the last stage's", &histograms.arrival),
        whole("stampede.user.duration", "From the intended send to the last stage's stamp", &histograms.user),
        metric("stampede.hop.duration", "From the stamp of the stage before to that of this one", hops.collect()),
    ];
    let scope_metrics = ScopeMetrics {
        scope: Some(scope()),
        metrics: metrics.into_iter().flatten().collect(),
        schema_url: SCHEMA_URL.to_owned(),
    };
    let of_service = ResourceMetrics {
        resource: Some(Service::stampede().resource()),
        scope_metrics: vec![scope_metrics],
        schema_url: SCHEMA_URL.to_owned(),
    };
    ExportMetricsServiceRequest { resource_metrics: vec![of_service] }
}

fn metric(name: &str, description: &str, points: Vec<ExponentialHistogramDataPoint>) -> Option<Metric> {
    let points: Vec<_> = points.into_iter().filter(|point| point.count > 0).collect();
    (!points.is_empty()).then(|| Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: "s".to_owned(),
        data: Some(Data::ExponentialHistogram(ExponentialHistogram {
            data_points: points,
            // Each level is a series of its own, which begins with it.
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        })),
        ..Metric::default()
    })
}

/// A histogram of µs as one of seconds, in the finest scale that its range fits in.
fn point(histogram: &Histogram<u64>, span_us: (i64, i64), attributes: Vec<KeyValue>) -> ExponentialHistogramDataPoint {
    let recorded: Vec<(u64, u64)> =
        histogram.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value())).collect();
    let above_zero = || recorded.iter().filter(|(us, _)| *us > 0);
    let (least, most) = (above_zero().map(|(us, _)| *us).min(), above_zero().map(|(us, _)| *us).max());
    let width = |scale: i32| least.zip(most).map_or(0, |(least, most)| index(most, scale) - index(least, scale) + 1);
    let scale = (-10..=FINEST).rev().find(|&scale| width(scale) <= MOST_BUCKETS).unwrap_or(-10);
    let offset = least.map_or(0, |least| index(least, scale));
    let mut counts = vec![0; usize::try_from(width(scale)).unwrap_or(0)];
    for &(us, count) in above_zero() {
        let place = usize::try_from(index(us, scale) - offset).unwrap_or(0);
        if let Some(bucket) = counts.get_mut(place) {
            *bucket += count;
        }
    }
    let nanos = |us: i64| u64::try_from(us).unwrap_or(0) * 1000;
    ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: nanos(span_us.0),
        time_unix_nano: nanos(span_us.1),
        count: histogram.len(),
        sum: Some(recorded.iter().map(|&(us, count)| us as f64 / 1e6 * count as f64).sum()),
        scale,
        zero_count: recorded.iter().filter(|(us, _)| *us == 0).map(|(_, count)| count).sum(),
        positive: Some(Buckets { offset: i32::try_from(offset).unwrap_or(0), bucket_counts: counts }),
        min: (!histogram.is_empty()).then(|| histogram.min() as f64 / 1e6),
        max: (!histogram.is_empty()).then(|| histogram.max() as f64 / 1e6),
        ..ExponentialHistogramDataPoint::default()
    }
}

/// The bucket of a value of µs among seconds: bucket *i* holds what lies above base^i and up to base^(i+1), with base = 2^(2^-scale).
fn index(us: u64, scale: i32) -> i64 {
    let place = (us as f64 / 1e6).log2() * f64::from(scale).exp2();
    // Far below 2^53.
    #[allow(clippy::cast_possible_truncation)]
    let place = place.ceil() as i64;
    place - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for &value in values {
            histogram.record(value).unwrap();
        }
        histogram
    }

    #[test]
    fn the_fixture_has_all_three() {
        let report = analysis::fixture::report_of(&[5]);
        let mut level = report.levels[0].clone();
        level.histograms.arrival = Some(histogram(&[900, 1000, 1100]));
        level.histograms.user = level.histograms.arrival.clone();
        level.histograms.hops = level.hops.iter().map(|_| histogram(&[10])).collect();
        let request = request(&level, "5", (1, 2));
        let names: Vec<&str> =
            request.resource_metrics[0].scope_metrics[0].metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["stampede.arrival.duration", "stampede.user.duration", "stampede.hop.duration"]);
    }

    proptest! {
        /// Each value lies in its bucket, and none is lost.
        #[test]
        fn what_is_counted_lies_between_the_bounds(values in prop::collection::vec(0u64..60_000_000, 1..200)) {
            let histogram = histogram(&values);
            let point = point(&histogram, (0, 1), Vec::new());
            let buckets = point.positive.unwrap();
            prop_assert!(i64::try_from(buckets.bucket_counts.len()).unwrap() <= MOST_BUCKETS);
            prop_assert_eq!(buckets.bucket_counts.iter().sum::<u64>() + point.zero_count, values.len() as u64);
            let bound = |at: i64| (at as f64 * f64::from(-point.scale).exp2()).exp2();
            for value in histogram.iter_recorded().map(|value| value.value_iterated_to()).filter(|&us| us > 0) {
                let place = index(value, point.scale);
                let seconds = value as f64 / 1e6;
                prop_assert!(bound(place) < seconds * (1.0 + 1e-12) && seconds <= bound(place + 1) * (1.0 + 1e-12));
            }
        }
    }
}
