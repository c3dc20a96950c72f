//! Histograms of latencies.

use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest latency that the histogram tells apart, µs: anything above an hour counts as an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// Significant digits of what it tells.
const DIGITS: u8 = 3;

/// What a histogram holds: its values and how often each is there, ascending.
pub fn recorded(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram.iter_recorded().map(|value| (value.value_iterated_to(), value.count_since_last_iteration())).collect()
}

/// A percentile, or none where fewer than 10 values lie beyond it: too few to say anything.
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

/// Adds one to another of the same bounds.
pub(crate) fn add(histogram: &mut Histogram<u64>, other: &Histogram<u64>) {
    // The bounds are the same, so that this cannot fail.
    let _ = histogram.add(other);
}

/// Histograms as text: `HdrHistogram`'s own format, V2, compressed, in base64.
pub(crate) mod wire {
    use super::{DIGITS, LONGEST_US, histogram as empty};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{Deserializer as Reader, Serializer as _, V2DeflateSerializer};
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    /// As text; empty where nothing has been recorded.
    pub(crate) fn serialize<S: Serializer>(histogram: &Histogram<u64>, to: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        if !histogram.is_empty() {
            V2DeflateSerializer::new().serialize(histogram, &mut bytes).map_err(S::Error::custom)?;
        }
        to.serialize_str(&STANDARD.encode(bytes))
    }

    /// From such a text.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Histogram<u64>, D::Error> {
        let bytes = STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)?;
        if bytes.is_empty() {
            return Ok(empty());
        }
        let read: Histogram<u64> = Reader::new().deserialize(&mut bytes.as_slice()).map_err(D::Error::custom)?;
        if read.low() != 1 || read.high() != LONGEST_US || read.sigfig() != DIGITS {
            return Err(D::Error::custom("a histogram has other bounds than those of latencies"));
        }
        Ok(read)
    }

    /// The same, where it may be absent.
    pub(crate) mod optional {
        use hdrhistogram::Histogram;
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Serialize, Deserialize)]
        struct Text(#[serde(with = "super")] Histogram<u64>);

        #[allow(clippy::ref_option, reason = "serde gives it so")]
        pub(crate) fn serialize<S: Serializer>(
            histogram: &Option<Box<Histogram<u64>>>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            histogram.as_ref().map(|histogram| Text((**histogram).clone())).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<Histogram<u64>>>, D::Error> {
            Ok(Option::<Text>::deserialize(from)?.map(|Text(histogram)| Box::new(histogram)))
        }
    }
}

/// Three significant digits, from 1 µs up to an hour.
pub fn histogram() -> Histogram<u64> {
    // These bounds are valid by the histogram's own rules.
    Histogram::new_with_bounds(1, LONGEST_US, DIGITS).unwrap_or_else(|_| unreachable!("the bounds are constants"))
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
