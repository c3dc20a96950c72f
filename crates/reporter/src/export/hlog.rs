//! `report.hlog`: all latencies of a sweep as HdrHistogram's interval log, which its own tools read.

use super::RenderError;
use analysis::{Level, Report};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::time::{Duration, UNIX_EPOCH};

/// The tags beside those of the hops, which are called by their stages.
const ARRIVAL: &str = "arrival";
const USER: &str = "user";

/// One interval for each level and latency, in the order in which the levels ran. Values are in µs.
pub(super) fn render(report: &Report) -> Result<Vec<u8>, RenderError> {
    let (origin_us, levels) = intervals(report);
    let (mut log, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!(
            "[Stampede, sweep {}: one interval for each level and hop, values in microseconds]",
            report.sweep
        ))
        .with_start_time(UNIX_EPOCH + Duration::from_micros(origin_us))
        .begin_log_with(&mut log, &mut serializer)?;
    for (start, length, level) in levels {
        for (name, histogram) in tagged(report, level) {
            let fault =
                |error: &dyn std::fmt::Display| RenderError::Hlog(format!("{name} of {}: {error}", level.load.run));
            let tag = Tag::new(name).ok_or_else(|| fault(&"a tag has neither commas nor spaces"))?;
            writer.write_histogram(histogram, start, length, Some(tag)).map_err(|error| fault(&error))?;
        }
    }
    Ok(log)
}

/// When the log begins, µs since 1970; and each level with its begin, counted from there, and its length. By the log store's clock where every level
/// tells; else one level behind the other.
fn intervals(report: &Report) -> (u64, Vec<(Duration, Duration, &Level)>) {
    let spans: Option<Vec<(i64, i64)>> = report.levels.iter().map(|level| level.load.span_us).collect();
    let Some(spans) = spans.filter(|spans| !spans.is_empty()) else {
        let mut begin = Duration::ZERO;
        let one_by_one = report.levels.iter().map(|level| {
            let length = Duration::from_micros(level.load.http.as_ref().map_or(0, |http| http.duration_us));
            let start = begin;
            begin += length;
            (start, length, level)
        });
        return (report.started_unix_s.saturating_mul(1_000_000), one_by_one.collect());
    };
    let time = |from: i64, to: i64| Duration::from_micros(u64::try_from(to.saturating_sub(from)).unwrap_or(0));
    let origin = spans.iter().map(|(begin, _)| *begin).min().unwrap_or(0);
    let mut levels: Vec<_> = spans
        .iter()
        .zip(&report.levels)
        .map(|(&(begin, end), level)| (time(origin, begin), time(begin, end), level))
        .collect();
    levels.sort_by_key(|(start, ..)| *start);
    (u64::try_from(origin).unwrap_or(0), levels)
}

/// The histograms of a level, each with its name.
fn tagged<'a>(report: &'a Report, level: &'a Level) -> impl Iterator<Item = (&'a str, &'a Histogram<u64>)> {
    let whole = [(ARRIVAL, &level.histograms.arrival), (USER, &level.histograms.user)];
    let whole = whole.into_iter().filter_map(|(name, histogram)| Some((name, histogram.as_ref()?)));
    let hops = report.path.iter().skip(1).map(stamp::Stage::as_str).zip(&level.histograms.hops);
    whole.chain(hops)
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::Histograms;
    use analysis::fixture::report_of;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for &value in values {
            histogram.record(value).unwrap();
        }
        histogram
    }

    /// The start of the log in ms, and each interval: tag, start and length in ms, values with their counts.
    fn read(log: &[u8]) -> (u128, Vec<String>) {
        let (mut begin, mut intervals) = (0, Vec::new());
        for entry in IntervalLogIterator::new(log) {
            match entry.unwrap() {
                LogEntry::StartTime(time) => begin = time.as_millis(),
                LogEntry::BaseTime(time) => panic!("{time:?}"),
                LogEntry::Interval(interval) => {
                    let bytes = decoded(interval.encoded_histogram());
                    let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                    let values: Vec<String> = histogram
                        .iter_recorded()
                        .map(|value| format!("{}x{}", value.count_at_value(), value.value_iterated_to()))
                        .collect();
                    let tag = interval.tag().unwrap();
                    let (start, length) = (interval.start_timestamp().as_millis(), interval.duration().as_millis());
                    intervals.push(format!("{} {start} {length} {}", tag.as_str(), values.join(" ")));
                }
            }
        }
        (begin, intervals)
    }

    /// Base64 as RFC 4648 has it.
    fn decoded(text: &str) -> Vec<u8> {
        let six_bits = |c: u8| match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            other => panic!("{other}"),
        };
        let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
        for c in text.trim_end_matches('=').bytes() {
            bits = (bits << 6 | u32::from(six_bits(c))) & 0xFFFF;
            count += 6;
            if count >= 8 {
                count -= 8;
                bytes.push(u8::try_from(bits >> count & 0xFF).unwrap());
            }
        }
        bytes
    }

    #[test]
    fn levels_follow_in_the_order_in_which_they_ran() {
        let mut report = report_of(&[1, 2]);
        for (level, begin) in report.levels.iter_mut().zip([1_700_000_020_000_000, 1_700_000_005_000_000]) {
            level.load.span_us = Some((begin, begin + 10_500_000));
            level.histograms = Histograms {
                under_way: None,
                arrival: Some(histogram(&[150, 150, 300])),
                user: None,
                hops: vec![histogram(&[20]), histogram(&[0, 31])],
            };
        }
        let (begin, intervals) = read(&render(&report).unwrap());
        assert_eq!(begin, 1_700_000_005_000);
        insta::assert_snapshot!(intervals.join("\n"), @r#"
        arrival 0 10500 2x150 1x300
        apiserver 0 10500 1x20
        enqueue 0 10500 1x0 1x31
        arrival 15000 10500 2x150 1x300
        apiserver 15000 10500 1x20
        enqueue 15000 10500 1x0 1x31
        "#);
    }

    #[test]
    fn levels_without_times_lie_one_behind_the_other() {
        let mut report = report_of(&[1, 2]);
        for level in &mut report.levels {
            level.load.span_us = None;
            level.histograms = Histograms { user: Some(histogram(&[7])), ..Histograms::default() };
        }
        let (begin, intervals) = read(&render(&report).unwrap());
        assert_eq!(begin, u128::from(report.started_unix_s) * 1000);
        assert_eq!(intervals, ["user 0 10000 1x7", "user 10000 10000 1x7"]);
    }

    #[test]
    fn a_report_without_histograms_is_an_empty_log() {
        assert!(read(&render(&report_of(&[])).unwrap()).1.is_empty());
    }
}
