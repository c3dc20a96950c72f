//! The tables that people read on the terminal.

use analysis::{Http, Level, Report};
use std::fmt::Write;

const WIDTHS: [usize; 12] = [4, 9, 9, 9, 9, 9, 9, 9, 9, 6, 8, 8];

/// The heading of the table of levels.
pub(super) fn heading() -> String {
    let names = [
        "conn", "rate", "req/s", "http ms", "arr mean", "p50 ms", "p90 ms", "p99 ms", "max ms", "lost", "backlog",
        "drain s",
    ];
    columns(&names.map(str::to_owned))
}

/// One finished level.
pub(super) fn row(level: &Level) -> String {
    let milliseconds = |us: Option<i64>| us.map_or_else(|| "n/a".to_owned(), |us| format!("{:.3}", us as f64 / 1e3));
    let (load, http, arrival) = (&level.load, level.load.http.as_ref(), &level.arrival);
    let text = |value: Option<String>| value.unwrap_or_else(|| "n/a".to_owned());
    let mut row = columns(&[
        text(load.concurrency.map(|c| c.to_string())),
        load.rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string()),
        text(http.and_then(Http::accepted_per_sec).map(|rate| format!("{rate:.0}"))),
        text(http.and_then(|http| http.mean_us).map(|us| format!("{:.3}", us / 1e3))),
        text(arrival.mean_us.map(|us| format!("{:.3}", us / 1e3))),
        milliseconds(arrival.p50_us),
        milliseconds(arrival.p90_us),
        milliseconds(arrival.p99_us),
        milliseconds(arrival.max_us),
        level.books.lost.to_string(),
        text(load.backlog.map(|backlog| backlog.to_string())),
        text(load.drain_us.map(|us| format!("{:.2}", us as f64 / 1e6))),
    ]);
    // Writing to a String cannot fail.
    if !load.clock_steps.is_empty() {
        let sizes: Vec<_> = load.clock_steps.iter().map(|step| format!("{} µs", step.size)).collect();
        let _ = write!(row, "  redis clock set by {}", sizes.join(", "));
    }
    if level.traces.across_steps > 0 {
        let across = level.traces.across_steps;
        let _ = write!(row, "  {across} sampled messages left out: stamped in different time scales");
    }
    let books = &level.books;
    for (count, what) in [
        (books.in_flight, "in flight at the cut-off"),
        (books.late, "late"),
        (books.shed, "refused: the queue was full"),
    ] {
        if count > 0 {
            let _ = write!(row, "  {count} {what}");
        }
    }
    for (stage, lost) in books.lost_by_hop.iter().filter(|(_, lost)| *lost != 0) {
        let _ = write!(row, "  {lost} lost on the way to {stage}");
    }
    if let Some(interruption) = load.interruption() {
        let _ = write!(row, "  {interruption}");
    }
    if let Some(why) = &level.stability.unstable {
        let _ = write!(row, "  unstable: {why}");
    }
    if let Some(why) = &load.generator_limited {
        let _ = write!(row, "  generator-limited: {why}");
    }
    if let Some(http) = http.filter(|http| http.failed() > 0) {
        let kinds: Vec<_> = http.errors.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
        let _ = write!(row, "  errors: {}", kinds.join(", "));
    }
    row
}

fn columns(fields: &[String; WIDTHS.len()]) -> String {
    let padded: Vec<String> = fields.iter().zip(WIDTHS).map(|(field, width)| format!("{field:>width$}")).collect();
    padded.join(" ")
}

/// How far the repetitions of each setting lie apart.
pub(super) fn spread_table(report: &Report) -> String {
    let mut table =
        format!("{:>12} {:>4} {:>21} {:>21} {:>21}", "spread of", "n", "req/s", "arrival p50 ms", "arrival p99 ms");
    let same = |one: &Level, other: &Level| one.load.position() == other.load.position();
    for levels in report.levels.chunk_by(same) {
        let spread = |value: fn(&Level) -> Option<f64>, digits: usize| {
            let values: Vec<f64> = levels.iter().filter_map(value).collect();
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if values.is_empty() { "n/a".to_owned() } else { format!("{least:.digits$} .. {most:.digits$}") }
        };
        // Writing to a String cannot fail.
        let _ = write!(
            table,
            "\n{:>12} {:>4} {:>21} {:>21} {:>21}",
            levels[0].load.position().unwrap_or_default(),
            levels.len(),
            spread(|level| level.load.http.as_ref().and_then(Http::accepted_per_sec), 0),
            spread(|level| level.arrival.p50_us.map(|us| us as f64 / 1e3), 3),
            spread(|level| level.arrival.p99_us.map(|us| us as f64 / 1e3), 3),
        );
    }
    table
}

/// What the stamps of each stage are worth: how late they were written, how large their error may be, and what is missing.
pub(super) fn stamping_table(report: &Report) -> String {
    let us = |us: Option<u64>| us.map_or_else(|| "n/a".to_owned(), |us| us.to_string());
    let mut table = format!(
        "{:<12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "stamps of", "number", "plain", "lag p50", "p99 µs", "err p50", "p99 µs", "dropped"
    );
    for stage in &report.stamping {
        // Writing to a String cannot fail.
        let _ = write!(
            table,
            "\n{:<12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
            stage.stage.to_string(),
            stage.stamps,
            stage.plain,
            us(stage.lag.p50_us),
            us(stage.lag.p99_us),
            us(stage.err.p50_us),
            us(stage.err.p99_us),
            stage.dropped
        );
    }
    let sum = |of: fn(&Level) -> u64| report.levels.iter().map(of).sum::<u64>();
    let (negative, beyond) = (sum(|level| level.traces.negative), sum(|level| level.traces.beyond_error));
    let of = sum(|level| level.traces.of_known_error);
    let across = sum(|level| level.traces.across_steps);
    let steps = sum(|level| level.load.clock_steps.len() as u64);
    let _ = write!(
        table,
        "\nnegative differences: {negative}, beyond the clocks' error: {beyond} of {of}; redis clock set: {steps} times, {across} messages left out for it"
    );
    table
}
