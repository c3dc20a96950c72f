//! The bytes of Prometheus's remote write 1.0: a `WriteRequest` in protocol buffers, compressed with Snappy
//! (<https://prometheus.io/docs/specs/prw/remote_write_spec/>, `prompb/types.proto`). Only what is sent here; pure.

use super::distribution::{Distribution, Native, SCHEMA};

/// The value that says that a series has ended: a certain one of the values that are no number.
pub(super) const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// One series with its newest value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// Sorted by name, `__name__` among them.
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Histogram(Distribution),
    /// A native histogram that has ended.
    EndOfHistogram,
}

/// A request with all series, ms since 1970-01-01 UTC.
pub(super) fn write_request(series: &[Series], time_ms: i64) -> Vec<u8> {
    let mut request = Message::default();
    for one in series {
        request.message(1, &time_series(one, time_ms));
    }
    request.0
}

fn time_series(series: &Series, time_ms: i64) -> Message {
    let mut message = Message::default();
    for (name, value) in &series.labels {
        let mut label = Message::default();
        label.bytes(1, name.as_bytes());
        label.bytes(2, value.as_bytes());
        message.message(1, &label);
    }
    match &series.value {
        Value::Number(number) => {
            let mut sample = Message::default();
            sample.double(1, *number);
            sample.int64(2, time_ms);
            message.message(2, &sample);
        }
        Value::Histogram(distribution) => {
            let native = distribution.native();
            message.message(4, &histogram(distribution.count(), distribution.sum_seconds(), &native, time_ms));
        }
        Value::EndOfHistogram => message.message(4, &histogram(0, STALE, &Native::default(), time_ms)),
    }
    message
}

fn histogram(count: u64, sum_seconds: f64, native: &Native, time_ms: i64) -> Message {
    let mut message = Message::default();
    message.uint64(1, count);
    message.double(3, sum_seconds);
    message.sint64(4, i64::from(SCHEMA));
    // The bucket around zero: nothing else is shorter than a microsecond.
    message.double(5, 1e-9);
    message.uint64(6, native.zero);
    for &(offset, length) in &native.spans {
        let mut span = Message::default();
        span.sint64(1, i64::from(offset));
        span.uint64(2, u64::from(length));
        message.message(11, &span);
    }
    let mut deltas = Message::default();
    native.deltas.iter().for_each(|delta| deltas.varint(zigzag(*delta)));
    message.bytes(12, &deltas.0);
    message.int64(15, time_ms);
    message
}

/// A message of protocol buffers under way: each field is its number and kind, then its value.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    fn uint64(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn int64(&mut self, field: u64, value: i64) {
        self.uint64(field, value.cast_unsigned());
    }

    fn sint64(&mut self, field: u64, value: i64) {
        self.uint64(field, zigzag(value));
    }

    fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_bits().to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn message(&mut self, field: u64, value: &Message) {
        self.bytes(field, &value.0);
    }
}

/// Small numbers of either sign as small ones without a sign.
fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
    }

    fn series(value: Value) -> Series {
        Series { labels: vec![("__name__".to_owned(), "up".to_owned())], value }
    }

    #[test]
    fn a_number() {
        let request = write_request(&[series(Value::Number(1.5))], 300);
        insta::assert_snapshot!(hex(&request), @"0a 1e 0a 0e 0a 08 5f 5f 6e 61 6d 65 5f 5f 12 02 75 70 12 0c 09 00 00 00 00 00 00 f8 3f 10 ac 02");
    }

    #[test]
    fn a_histogram() {
        let distribution = Distribution::new(vec![(500_000, 2), (505_000, 3)]);
        let request = write_request(&[series(Value::Histogram(distribution))], 300);
        // Count, sum, schema 5, the bucket around zero, one run of two buckets from -32 on, 2 and 1 more than these, the time.
        insta::assert_snapshot!(hex(&request), @"0a 37 0a 0e 0a 08 5f 5f 6e 61 6d 65 5f 5f 12 02 75 70 22 25 08 05 19 1f 85 eb 51 b8 1e 04 40 20 0a 29 95 d6 26 e8 0b 2e 11 3e 30 00 5a 04 08 3f 10 02 62 02 04 02 78 ac 02");
    }

    #[test]
    fn numbers_with_a_sign() {
        assert_eq!([0, -1, 1, -2, i64::MIN].map(zigzag), [0, 1, 2, 3, u64::MAX]);
    }
}
