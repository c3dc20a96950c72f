//! The result of one load, for people and for scripts.

use analysis::WorkerLoad;
use experiment::of_parts;
use hdrhistogram::Histogram;
use load::{Tally, percentile};
use serde_json::{Value, json};
use stamp::counted;
use std::fmt::Write;
use std::time::Duration;
use workers::Made;

/// The version of the JSON's shape (docs/load.schema.json).
const SCHEMA_VERSION: u32 = 1;

/// A wait for the last answers that is worth a word.
const TOLD_WAIT: Duration = Duration::from_millis(100);

/// A load that has ended, and what made it.
pub(super) struct Loaded {
    pub(super) tally: Tally,
    /// The share of its time that the generator's thread was busy; of several, that of the busiest.
    pub(super) cpu_share: Option<f64>,
    /// Why the generator limited the load; absent where it did not.
    pub(super) limited_by: Option<String>,
    /// Each generator, where there were several.
    pub(super) workers: Vec<WorkerLoad>,
    /// Whether some of these were lost.
    pub(super) lost: bool,
}

impl Loaded {
    /// Of one generator.
    pub(super) fn of(tally: Tally) -> Self {
        let (cpu_share, limited_by) = (tally.cpu_share(), tally.limited_by());
        Self { tally, cpu_share, limited_by, workers: Vec::new(), lost: false }
    }

    /// Of several.
    pub(super) fn of_workers(made: Made) -> Self {
        let (cpu_share, limited_by) = (made.cpu_share(), made.limited_by());
        let (workers, lost) = (of_parts(&made.parts), made.lost.is_some());
        Self { tally: made.tally, cpu_share, limited_by, workers, lost }
    }
}

/// The result as JSON. A percentile that fewer than 10 values lie beyond is null.
pub(super) fn as_json(loaded: &Loaded, rate: Option<f64>, interrupted: bool) -> Value {
    let tally = &loaded.tally;
    let mut result = json!({
        "schema_version": SCHEMA_VERSION,
        "loop": if rate.is_some() { "open" } else { "closed" },
        "rate": rate,
        "connections": tally.connections,
        "duration_s": tally.duration.as_secs_f64(),
        "waited_s": tally.waited.as_secs_f64(),
        "interrupted": interrupted,
        "requests": tally.requests,
        "accepted": tally.accepted(),
        "missed": tally.missed,
        "reconnected": tally.reconnected,
        "errors": tally.errors,
        "requests_per_sec": tally.requests_per_sec(),
        "service_time_us": latency(&tally.service),
        "response_time_us": latency(&tally.response),
        "failed_time_us": latency(&tally.failed),
        "send_delay_us": latency(&tally.send_delay),
        "generator": { "cpu_share": loaded.cpu_share, "limited_by": loaded.limited_by },
        "series": tally.series,
    });
    if !loaded.workers.is_empty() {
        result["workers"] = json!(loaded.workers);
    }
    result
}

fn latency(histogram: &Histogram<u64>) -> Value {
    let any = |value: u64| (!histogram.is_empty()).then_some(value);
    json!({
        "mean": (!histogram.is_empty()).then(|| histogram.mean()),
        "p50": any(histogram.value_at_quantile(0.5)),
        "p90": percentile(histogram, 0.9),
        "p99": percentile(histogram, 0.99),
        "p999": percentile(histogram, 0.999),
        "max": any(histogram.max()),
    })
}

/// The result as a table, much like those of wrk and oha.
pub(super) fn as_table(loaded: &Loaded, rate: Option<f64>, interrupted: bool) -> String {
    let tally = &loaded.tally;
    let mut table =
        if interrupted { format!("interrupted after {:.1} s\n", tally.duration.as_secs_f64()) } else { String::new() };
    // Writing to a String cannot fail.
    let _ = write!(
        table,
        "{} in {:.2} s over {}, {} accepted: {:.0} requests/s{}\n\n",
        counted(tally.requests, "request"),
        tally.duration.as_secs_f64(),
        counted(tally.connections, "connection"),
        tally.accepted(),
        tally.requests_per_sec(),
        if tally.waited >= TOLD_WAIT {
            format!(", and {:.2} s until the last answer", tally.waited.as_secs_f64())
        } else {
            String::new()
        },
    );
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = table.write_fmt(text);
        table.push('\n');
    };
    line(format_args!(
        "{:<16} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "ms", "mean", "p50", "p90", "p99", "p99.9", "max"
    ));
    for (name, histogram) in [
        ("service time", &tally.service),
        ("response time", &tally.response),
        ("failed requests", &tally.failed),
        ("send delay", &tally.send_delay),
    ] {
        if histogram.is_empty() {
            continue;
        }
        let at = |quantile: f64| ms(percentile(histogram, quantile));
        line(format_args!(
            "{name:<16} {:>10.3} {:>10} {:>10} {:>10} {:>10} {:>10}",
            histogram.mean() / 1e3,
            ms(Some(histogram.value_at_quantile(0.5))),
            at(0.9),
            at(0.99),
            at(0.999),
            ms(Some(histogram.max())),
        ));
    }
    let p99s = percentile(&tally.response, 0.99).zip(percentile(&tally.service, 0.99));
    if let (Some(_), Some((response_us, service_us))) = (rate, p99s) {
        let gap = response_us.saturating_sub(service_us);
        line(format_args!(
            "\nA client that sends on schedule waits the response time; at p99 that is {:.3} ms more than the service time, which \
             leaves out how long requests waited for a connection.",
            gap as f64 / 1e3
        ));
    }
    if tally.reconnected > 0 {
        line(format_args!(
            "reconnected: {}, where the server had ended a connection between two requests",
            tally.reconnected
        ));
    }
    for (kind, count) in &tally.errors {
        line(format_args!("error: {kind}: {count}"));
    }
    for worker in &loaded.workers {
        let delay = ms(worker.send_delay_p99_us);
        let lost = worker.lost_us.map_or_else(String::new, |us| format!(", lost at {:.1} s", us as f64 / 1e6));
        line(format_args!(
            "worker {:<4} on {}: {}, {} accepted, send delay p99 {delay} ms, {:.0} % of one core{lost}",
            worker.number,
            worker.host,
            counted(worker.requests, "request"),
            worker.accepted,
            worker.cpu_share.unwrap_or_default() * 100.0
        ));
    }
    if let Some(share) = loaded.cpu_share {
        let which = if loaded.workers.is_empty() { "generator" } else { "busiest worker" };
        line(format_args!("{which}: {:.0} % of one core", share * 100.0));
    }
    if let Some(why) = &loaded.limited_by {
        line(format_args!("generator-limited: {why}"));
    }
    table.truncate(table.trim_end().len());
    table
}

fn ms(us: Option<u64>) -> String {
    us.map_or_else(|| "n/a".to_owned(), |us| format!("{:.3}", us as f64 / 1e3))
}
