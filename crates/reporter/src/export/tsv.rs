//! `report.tsv`: one row a level, the founding four columns first.

use super::{NOT_AVAILABLE, decimal};
use crate::{Level, Report};
use std::fmt::Write;

pub(super) fn render(report: &Report) -> String {
    let mut tsv = String::new();
    let mut header: Vec<String> = [
        "concurrency",
        "http_mean_ms",
        "rps",
        "arrival_mean_s",
        "arrival_p50_ms",
        "arrival_p90_ms",
        "arrival_p99_ms",
        "arrival_p999_ms",
        "arrival_max_ms",
    ]
    .map(str::to_owned)
    .into();
    for stage in report.path.iter().skip(1) {
        header.push(format!("{stage}_p50_ms"));
        header.push(format!("{stage}_p99_ms"));
    }
    let books = [
        "sampled",
        "accepted",
        "arrived",
        "lost",
        "duplicates",
        "negative",
        "http_errors",
        "backlog",
        "drain_s",
        "rate",
        "repeat",
        "generator_limited",
    ];
    header.extend(books.map(str::to_owned));
    line(&mut tsv, &header);
    for level in &report.levels {
        line(&mut tsv, &row(level));
    }
    tsv
}

fn row(level: &Level) -> Vec<String> {
    let Level { load, arrival, hops, books, .. } = level;
    let http = load.http.as_ref();
    let mut row = vec![
        count(load.concurrency.map(u64::from)),
        decimal(http.map(|http| http.mean_us / 1e3), 3),
        decimal(http.map(crate::Http::requests_per_sec), 1),
        decimal(arrival.mean_us.map(|mean| mean / 1e6), 6),
    ];
    row.extend([arrival.p50_us, arrival.p90_us, arrival.p99_us, arrival.p999_us, arrival.max_us].map(milliseconds));
    row.extend(hops.iter().flat_map(|hop| [hop.latency.p50_us, hop.latency.p99_us]).map(milliseconds));
    row.extend([
        level.traces.sampled.to_string(),
        books.accepted.to_string(),
        books.arrived.to_string(),
        books.lost.to_string(),
        books.duplicates.to_string(),
        level.traces.negative.to_string(),
        count(http.map(crate::Http::failed)),
        count(load.backlog),
        decimal(load.drain_us.map(|drain| drain as f64 / 1e6), 3),
        decimal(load.rate, 1),
        load.repeat.to_string(),
        if load.generator_limited.is_some() { "yes" } else { "no" }.to_owned(),
    ]);
    row
}

fn line(tsv: &mut String, fields: &[String]) {
    // Writing to a String cannot fail.
    let _ = writeln!(tsv, "{}", fields.join("\t"));
}

fn milliseconds(us: Option<i64>) -> String {
    decimal(us.map(|us| us as f64 / 1e3), 3)
}

fn count(value: Option<u64>) -> String {
    value.map_or_else(|| NOT_AVAILABLE.to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::tests::report_of;

    #[test]
    fn columns_and_rows() {
        let mut report = report_of(&[1, 2]);
        // A level that another program drove, and of which nothing arrived.
        report.levels[1].load = crate::Load::foreign(report.levels[1].load.run.clone());
        report.levels[1].arrival = crate::Distribution::default();
        insta::assert_snapshot!(render(&report).replace('\t', " "));
    }
}
