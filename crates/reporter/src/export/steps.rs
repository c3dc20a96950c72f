//! `steps.tsv` and `rounds.tsv`: what users went through, a row for each level and step, or task. docs/report.md describes the columns.

use super::decimal;
use super::tsv::{PartColumns, milliseconds, table};
use analysis::scenario::{Rounds, StepLoad};
use analysis::{Level, Report};

const STEPS: &PartColumns<StepLoad> = &[
    ("run", |level, _| level.load.run.to_string()),
    ("users", |level, _| users(level)),
    ("rate", |level, _| decimal(level.load.rate, 3)),
    ("repeat", |level, _| level.load.repeat.to_string()),
    ("step", |_, step| step.name.clone()),
    ("traced", |_, step| step.traced.to_string()),
    ("requests", |_, step| step.requests.to_string()),
    ("accepted", |_, step| step.accepted.to_string()),
    ("errors", |_, step| step.errors.values().sum::<u64>().to_string()),
    ("retries", |_, step| step.retries.to_string()),
    ("rps", |level, step| decimal(level.per_sec(step.accepted), 1)),
    ("http_mean_ms", |_, step| mean(step.response.mean_us)),
    ("http_p50_ms", |_, step| whole(step.response.p50_us)),
    ("http_p99_ms", |_, step| whole(step.response.p99_us)),
    ("http_max_ms", |_, step| whole(step.response.max_us)),
    ("arrival_p50_ms", |level, step| milliseconds(level.arrival_of(step).and_then(|arrival| arrival.p50_us))),
    ("arrival_p99_ms", |level, step| milliseconds(level.arrival_of(step).and_then(|arrival| arrival.p99_us))),
];

const ROUNDS: &PartColumns<Rounds> = &[
    ("run", |level, _| level.load.run.to_string()),
    ("users", |level, _| users(level)),
    ("rate", |level, _| decimal(level.load.rate, 3)),
    ("repeat", |level, _| level.load.repeat.to_string()),
    ("task", |_, rounds| rounds.task.clone()),
    ("ended", |_, rounds| rounds.ended.to_string()),
    ("failed", |_, rounds| rounds.failed.to_string()),
    ("rounds_per_sec", |level, rounds| decimal(level.per_sec(rounds.ended), 1)),
    ("mean_ms", |_, rounds| mean(rounds.whole.mean_us)),
    ("p50_ms", |_, rounds| whole(rounds.whole.p50_us)),
    ("p99_ms", |_, rounds| whole(rounds.whole.p99_us)),
    ("max_ms", |_, rounds| whole(rounds.whole.max_us)),
    ("waiting_mean_ms", |_, rounds| mean(rounds.waiting.mean_us)),
    ("waiting_p50_ms", |_, rounds| whole(rounds.waiting.p50_us)),
    ("pauses_mean_ms", |_, rounds| mean(Some(rounds.pauses_us))),
];

/// `steps.tsv`.
pub(super) fn steps(report: &Report) -> Vec<u8> {
    table(report, STEPS, Level::user_steps)
}

/// `rounds.tsv`.
pub(super) fn rounds(report: &Report) -> Vec<u8> {
    table(report, ROUNDS, |level| level.load.scenario.as_ref().map_or(&[], |scenario| &scenario.rounds))
}

fn users(level: &Level) -> String {
    level.load.scenario.as_ref().map_or_else(String::new, |scenario| scenario.users.to_string())
}

fn mean(us: Option<f64>) -> String {
    decimal(us.map(|us| us / 1e3), 3)
}

fn whole(us: Option<u64>) -> String {
    mean(us.map(|us| us as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::{report_of, with_steps};

    #[test]
    fn a_row_for_each_step_and_task() {
        let report = with_steps(report_of(&[8]));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        insta::assert_snapshot!(text(steps(&report)));
        insta::assert_snapshot!(text(rounds(&report)));
    }
}
