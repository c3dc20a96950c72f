//! What a sweep says at its end: the verdict, how to get what it could not tell, what is wrong with the stamps, and where the report is.
//!
//! It goes to stderr, as all that is no result: on stdout stands the table of levels, which scripts read.

use analysis::{Level, Report};
use stamp::counted;

/// Sampled messages that a p99 needs (docs/method.md).
const P99_NEEDS: u64 = 368;

/// The sentences, one line each.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let verdict = report.findings.verdict.iter().cloned();
    verdict.chain(missing_p99(report)).chain(stamps(report)).collect()
}

/// How to get the p99 that is not told.
fn missing_p99(report: &Report) -> Option<String> {
    let lacks =
        |level: &&Level| level.arrival.p99_us.is_none() && level.arrival.count > 0 && level.traces.sampled < P99_NEEDS;
    let lacking: Vec<&Level> = report.levels.iter().filter(lacks).collect();
    let fewest = lacking.iter().map(|level| level.traces.sampled).min()?.max(1);
    // With some to spare.
    let factor = (P99_NEEDS as f64 * 1.3 / fewest as f64).ceil();
    let sampled = report.every.map_or(0.0, |every| every as f64);
    let every = [50.0, 20.0, 10.0, 5.0, 2.0, 1.0].into_iter().find(|every| every * factor <= sampled);
    let seconds = lacking.iter().filter_map(|level| level.load.http.as_ref()).map(|http| http.duration_us).max();
    let longer = seconds.map(|us| format!("-d {}s", (us as f64 / 1e6 * factor).ceil()));
    let ways: Vec<String> = every.map(|every| format!("--every {every}")).into_iter().chain(longer).collect();
    Some(format!(
        "p99 is n/a at {} of {}: it takes {P99_NEEDS} sampled messages, and the fewest were {fewest}. Try {}.",
        lacking.len(),
        counted(report.levels.len(), "level"),
        if ways.is_empty() { "a longer load".to_owned() } else { ways.join(" or ") }
    ))
}

/// One line where something is wrong with the stamps that no sentence of the verdict tells.
fn stamps(report: &Report) -> Option<String> {
    let sum = |of: fn(&Level) -> u64| report.levels.iter().map(of).sum::<u64>();
    let wrong = [
        (sum(|level| level.traces.unreadable), "entries of the log store are no stamps"),
        (sum(|level| level.traces.missing.iter().map(|(_, count)| count).sum()), "stamps are missing within traces"),
        (sum(|level| level.load.clock_steps.len() as u64), "times the clock of Redis was set"),
        (sum(|level| level.traces.across_steps), "sampled messages were left out for that"),
    ];
    let told: Vec<String> =
        wrong.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    (!told.is_empty()).then(|| format!("Stamps: {} (-v has the table).", told.join("; ")))
}
