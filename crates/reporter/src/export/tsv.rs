//! `report.tsv`: one row a level, the founding four columns first. docs/report.md describes each.

use super::{decimal, yes_no};
use analysis::number::NOT_AVAILABLE;
use analysis::{Hop, Http, Interval, Level, Percentile, Report};
use std::fmt::Write;

/// Columns: their names, and what stands in them.
type Columns<T> = [(&'static str, fn(&T) -> String)];

/// The same of what levels have several of.
pub(super) type PartColumns<T> = [(&'static str, fn(&Level, &T) -> String)];

/// The columns before those of the hops.
const BEFORE_HOPS: &Columns<Level> = &[
    ("concurrency", |level| count(level.load.concurrency.map(u64::from))),
    ("http_mean_ms", |level| decimal(level.load.http.as_ref().and_then(|http| http.mean_us).map(|us| us / 1e3), 3)),
    ("rps", |level| decimal(level.load.http.as_ref().and_then(Http::accepted_per_sec), 1)),
    ("arrival_mean_s", |level| decimal(level.arrival.mean_us.map(|mean| mean / 1e6), 6)),
    ("arrival_p50_ms", |level| milliseconds(level.arrival.p50_us)),
    ("arrival_p90_ms", |level| milliseconds(level.arrival.p90_us)),
    ("arrival_p95_ms", |level| milliseconds(level.arrival.p95_us)),
    ("arrival_p99_ms", |level| milliseconds(level.arrival.p99_us)),
    ("arrival_p999_ms", |level| milliseconds(level.arrival.p999_us)),
    ("arrival_max_ms", |level| milliseconds(level.arrival.max_us)),
    ("arrival_p50_low_ms", |level| low(level.arrival.interval(Percentile::P50))),
    ("arrival_p50_high_ms", |level| high(level.arrival.interval(Percentile::P50))),
    ("arrival_p99_low_ms", |level| low(level.arrival.interval(Percentile::P99))),
    ("arrival_p99_high_ms", |level| high(level.arrival.interval(Percentile::P99))),
    ("delivered_per_sec", |level| decimal(level.delivered_per_sec(), 1)),
];

/// The columns of each hop, behind its stage's name.
const OF_HOP: &Columns<Hop> = &[
    ("p50_ms", |hop| milliseconds(hop.latency.p50_us)),
    ("p99_ms", |hop| milliseconds(hop.latency.p99_us)),
    ("wait_ms", |hop| decimal(hop.wait_us.map(|us| us / 1e3), 3)),
    ("service_ms", |hop| decimal(hop.service_us.map(|us| us / 1e3), 3)),
];

/// The columns behind those of the hops.
const AFTER_HOPS: &Columns<Level> = &[
    ("sampled", |level| level.traces.sampled.to_string()),
    ("incomplete", |level| level.traces.sampled.saturating_sub(level.traces.complete).to_string()),
    ("accepted", |level| level.books.accepted.to_string()),
    ("arrived", |level| level.books.arrived.to_string()),
    ("late", |level| level.books.late.to_string()),
    ("in_flight", |level| level.books.in_flight.to_string()),
    ("lost", |level| level.books.lost.to_string()),
    ("duplicates", |level| level.books.duplicates.to_string()),
    ("reordered", |level| level.traces.reordered.to_string()),
    ("negative", |level| level.traces.negative.to_string()),
    ("beyond_error", |level| level.traces.beyond_error.to_string()),
    ("stamps_dropped", |level| level.traces.stamps_dropped.to_string()),
    ("http_errors", |level| count(level.load.http.as_ref().map(Http::failed))),
    ("backlog", |level| count(level.load.backlog)),
    ("drain_s", |level| decimal(level.load.drain_us.map(|drain| drain as f64 / 1e6), 3)),
    ("rate", |level| level.load.rate.map_or_else(|| NOT_AVAILABLE.to_owned(), rate)),
    ("repeat", |level| level.load.repeat.to_string()),
    ("generator_limited", |level| yes_no(level.load.generator_limited.is_some())),
    ("unstable", |level| yes_no(level.stability.unstable.is_some())),
    ("interrupted", |level| level.load.interruption().unwrap_or_else(|| yes_no(false))),
];

pub(super) fn render(report: &Report) -> String {
    let mut tsv = String::new();
    let hops = report.path.iter().skip(1).flat_map(|stage| names(OF_HOP).map(move |name| format!("{stage}_{name}")));
    let header = names(BEFORE_HOPS).map(str::to_owned).chain(hops).chain(names(AFTER_HOPS).map(str::to_owned));
    line(&mut tsv, &header.collect::<Vec<_>>());
    for level in &report.levels {
        let hops = level.hops.iter().flat_map(|hop| cells(OF_HOP, hop));
        let row = cells(BEFORE_HOPS, level).chain(hops).chain(cells(AFTER_HOPS, level));
        line(&mut tsv, &row.collect::<Vec<_>>());
    }
    tsv
}

/// A table of what levels have several of.
pub(super) fn table<T>(report: &Report, columns: &PartColumns<T>, parts: impl Fn(&Level) -> &[T]) -> Vec<u8> {
    let mut tsv = String::new();
    line(&mut tsv, &columns.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for level in &report.levels {
        for part in parts(level) {
            line(&mut tsv, &columns.iter().map(|(_, cell)| cell(level, part)).collect::<Vec<_>>());
        }
    }
    tsv.into_bytes()
}

fn names<T>(columns: &Columns<T>) -> impl Iterator<Item = &'static str> {
    columns.iter().map(|(name, _)| *name)
}

fn cells<T>(columns: &Columns<T>, row: &T) -> impl Iterator<Item = String> {
    columns.iter().map(move |(_, cell)| cell(row))
}

fn low(interval: Option<Interval>) -> String {
    milliseconds(interval.map(|interval| interval.low_us))
}

/// The upper end may lie beyond all that was seen.
fn high(interval: Option<Interval>) -> String {
    let seen = |interval: Interval| interval.high_us.map_or_else(|| "inf".to_owned(), |us| milliseconds(Some(us)));
    interval.map_or_else(|| NOT_AVAILABLE.to_owned(), seen)
}

fn line<T: std::borrow::Borrow<str>>(tsv: &mut String, fields: &[T]) {
    // Writing to a String cannot fail.
    let _ = writeln!(tsv, "{}", fields.join("\t"));
}

pub(super) fn milliseconds(us: Option<i64>) -> String {
    decimal(us.map(|us| us as f64 / 1e3), 3)
}

/// A rate as it was asked for, however many digits that has.
fn rate(per_sec: f64) -> String {
    if per_sec.fract() == 0.0 { format!("{per_sec:.1}") } else { per_sec.to_string() }
}

fn count(value: Option<u64>) -> String {
    value.map_or_else(|| NOT_AVAILABLE.to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::report_of;

    #[test]
    fn columns_and_rows() {
        let mut report = report_of(&[1, 2]);
        report.levels[0].arrival.ci95.p99 = Some(Interval { low_us: 600, high_us: None, effective_count: 400 });
        report.levels[0].stability.unstable = Some("its queue grew".to_owned());
        // A level that another program drove, and of which nothing arrived.
        report.levels[1].load = analysis::Load::foreign(report.levels[1].load.run.clone());
        report.levels[1].arrival = analysis::Distribution::default();
        // A column a line: its name, and the values of both levels.
        let rows: Vec<Vec<String>> =
            render(&report).lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{rows:?}");
        let columns: Vec<String> = (0..rows[0].len())
            .map(|column| rows.iter().map(|row| row[column].as_str()).collect::<Vec<_>>().join(" "))
            .collect();
        insta::assert_snapshot!(columns.join("\n"), @r#"
        concurrency 1 n/a
        http_mean_ms 0.022 n/a
        rps 8000.0 n/a
        arrival_mean_s 0.000199 n/a
        arrival_p50_ms 0.159 n/a
        arrival_p90_ms 0.318 n/a
        arrival_p95_ms 0.477 n/a
        arrival_p99_ms 0.636 n/a
        arrival_p999_ms 1.431 n/a
        arrival_max_ms 3.180 n/a
        arrival_p50_low_ms 0.146 n/a
        arrival_p50_high_ms 0.174 n/a
        arrival_p99_low_ms 0.600 n/a
        arrival_p99_high_ms inf n/a
        delivered_per_sec 8000.0 13333.3
        apiserver_p50_ms 0.018 0.024
        apiserver_p99_ms 0.072 0.096
        apiserver_wait_ms 0.019 0.027
        apiserver_service_ms 0.003 0.003
        enqueue_p50_ms 0.023 0.025
        enqueue_p99_ms 0.092 0.100
        enqueue_wait_ms 0.025 0.027
        enqueue_service_ms 0.004 0.004
        pushserver_p50_ms 0.041 0.052
        pushserver_p99_ms 0.164 0.208
        pushserver_wait_ms 0.051 0.065
        pushserver_service_ms 0.000 0.000
        publish_p50_ms 0.042 0.045
        publish_p99_ms 0.168 0.180
        publish_wait_ms 0.044 0.048
        publish_service_ms 0.008 0.008
        mqttclient_p50_ms 0.053 0.058
        mqttclient_p99_ms 0.212 0.232
        mqttclient_wait_ms 0.056 0.062
        mqttclient_service_ms 0.010 0.010
        sampled 800 1333
        incomplete 0 0
        accepted 80000 133333
        arrived 80000 133333
        late 0 0
        in_flight 0 0
        lost 0 0
        duplicates 0 0
        reordered 0 0
        negative 0 0
        beyond_error 0 0
        stamps_dropped 0 0
        http_errors 0 n/a
        backlog 1 n/a
        drain_s 0.021 n/a
        rate n/a n/a
        repeat 1 1
        generator_limited no no
        unstable yes no
        interrupted no no
        "#);
    }

    #[test]
    fn every_column_is_described() {
        let document = include_str!("../../../../docs/report.md");
        let of_hops = names(OF_HOP).map(|name| format!("<stage>_{name}"));
        for name in names(BEFORE_HOPS).chain(names(AFTER_HOPS)).map(str::to_owned).chain(of_hops) {
            assert!(document.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}
