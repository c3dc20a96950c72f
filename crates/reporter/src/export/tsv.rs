//! `report.tsv`: one row a level, the founding four columns first. docs/report.md describes each.

use super::decimal;
use analysis::number::NOT_AVAILABLE;
use analysis::{Hop, Http, Interval, Level, Percentile, Report};
use std::fmt::Write;

/// The columns before those of the hops.
const BEFORE_HOPS: [&str; 15] = [
    "concurrency",
    "http_mean_ms",
    "rps",
    "arrival_mean_s",
    "arrival_p50_ms",
    "arrival_p90_ms",
    "arrival_p95_ms",
    "arrival_p99_ms",
    "arrival_p999_ms",
    "arrival_max_ms",
    "arrival_p50_low_ms",
    "arrival_p50_high_ms",
    "arrival_p99_low_ms",
    "arrival_p99_high_ms",
    "delivered_per_sec",
];

/// The columns of each hop, behind its stage's name.
const OF_HOP: [&str; 4] = ["p50_ms", "p99_ms", "wait_ms", "service_ms"];

/// The columns behind those of the hops.
const AFTER_HOPS: [&str; 20] = [
    "sampled",
    "incomplete",
    "accepted",
    "arrived",
    "late",
    "in_flight",
    "lost",
    "duplicates",
    "reordered",
    "negative",
    "beyond_error",
    "stamps_dropped",
    "http_errors",
    "backlog",
    "drain_s",
    "rate",
    "repeat",
    "generator_limited",
    "unstable",
    "interrupted",
];

pub(super) fn render(report: &Report) -> String {
    let mut tsv = String::new();
    let hops = report.path.iter().skip(1).flat_map(|stage| OF_HOP.map(|name| format!("{stage}_{name}")));
    let header = BEFORE_HOPS.into_iter().map(str::to_owned).chain(hops).chain(AFTER_HOPS.map(str::to_owned));
    line(&mut tsv, &header.collect::<Vec<_>>());
    for level in &report.levels {
        let row = before_hops(level).into_iter().chain(level.hops.iter().flat_map(of_hop)).chain(after_hops(level));
        line(&mut tsv, &row.collect::<Vec<_>>());
    }
    tsv
}

fn before_hops(level: &Level) -> [String; BEFORE_HOPS.len()] {
    let Level { load, arrival, .. } = level;
    let http = load.http.as_ref();
    let ends =
        |percentile| arrival.interval(percentile).map_or([NOT_AVAILABLE.to_owned(), NOT_AVAILABLE.to_owned()], ends);
    let ([p50_low, p50_high], [p99_low, p99_high]) = (ends(Percentile::P50), ends(Percentile::P99));
    [
        count(load.concurrency.map(u64::from)),
        decimal(http.and_then(|http| http.mean_us).map(|us| us / 1e3), 3),
        decimal(http.and_then(Http::accepted_per_sec), 1),
        decimal(arrival.mean_us.map(|mean| mean / 1e6), 6),
        milliseconds(arrival.p50_us),
        milliseconds(arrival.p90_us),
        milliseconds(arrival.p95_us),
        milliseconds(arrival.p99_us),
        milliseconds(arrival.p999_us),
        milliseconds(arrival.max_us),
        p50_low,
        p50_high,
        p99_low,
        p99_high,
        decimal(level.delivered_per_sec(), 1),
    ]
}

fn of_hop(hop: &Hop) -> [String; OF_HOP.len()] {
    let [wait, service] = [hop.wait_us, hop.service_us].map(|us| decimal(us.map(|us| us / 1e3), 3));
    [milliseconds(hop.latency.p50_us), milliseconds(hop.latency.p99_us), wait, service]
}

fn after_hops(level: &Level) -> [String; AFTER_HOPS.len()] {
    let Level { load, books, traces, stability, .. } = level;
    [
        traces.sampled.to_string(),
        traces.sampled.saturating_sub(traces.complete).to_string(),
        books.accepted.to_string(),
        books.arrived.to_string(),
        books.late.to_string(),
        books.in_flight.to_string(),
        books.lost.to_string(),
        books.duplicates.to_string(),
        traces.reordered.to_string(),
        traces.negative.to_string(),
        traces.beyond_error.to_string(),
        traces.stamps_dropped.to_string(),
        count(load.http.as_ref().map(Http::failed)),
        count(load.backlog),
        decimal(load.drain_us.map(|drain| drain as f64 / 1e6), 3),
        load.rate.map_or_else(|| NOT_AVAILABLE.to_owned(), rate),
        load.repeat.to_string(),
        yes_no(load.generator_limited.is_some()),
        yes_no(stability.unstable.is_some()),
        load.interruption().unwrap_or_else(|| yes_no(false)),
    ]
}

/// Both ends of an interval; the upper one may lie beyond all that was seen.
fn ends(interval: Interval) -> [String; 2] {
    [
        milliseconds(Some(interval.low_us)),
        interval.high_us.map_or_else(|| "inf".to_owned(), |us| milliseconds(Some(us))),
    ]
}

pub(super) fn line<T: std::borrow::Borrow<str>>(tsv: &mut String, fields: &[T]) {
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

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
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
        let of_hops = OF_HOP.map(|name| format!("<stage>_{name}"));
        for name in BEFORE_HOPS.into_iter().chain(of_hops.iter().map(String::as_str)).chain(AFTER_HOPS) {
            assert!(document.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}
