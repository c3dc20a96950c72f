//! `steps.tsv` and `rounds.tsv`: what users went through, a row for each level and step, or task. docs/report.md describes the columns.

use super::decimal;
use super::tsv::{line, milliseconds};
use analysis::scenario::Times;
use analysis::{Level, Report};

/// The columns of `steps.tsv`.
const STEPS: [&str; 17] = [
    "run",
    "users",
    "rate",
    "repeat",
    "step",
    "traced",
    "requests",
    "accepted",
    "errors",
    "retries",
    "rps",
    "http_mean_ms",
    "http_p50_ms",
    "http_p99_ms",
    "http_max_ms",
    "arrival_p50_ms",
    "arrival_p99_ms",
];

/// Those of `rounds.tsv`.
const ROUNDS: [&str; 15] = [
    "run",
    "users",
    "rate",
    "repeat",
    "task",
    "ended",
    "failed",
    "rounds_per_sec",
    "mean_ms",
    "p50_ms",
    "p99_ms",
    "max_ms",
    "waiting_mean_ms",
    "waiting_p50_ms",
    "pauses_mean_ms",
];

/// `steps.tsv`.
pub(super) fn steps(report: &Report) -> Vec<u8> {
    render(report, &STEPS, |level, head| {
        let scenario = level.load.scenario.iter();
        scenario
            .flat_map(|scenario| &scenario.steps)
            .map(|step| {
                let arrival = level.steps.iter().find(|arrival| arrival.number == step.number);
                let arrival = arrival.map(|step| &step.arrival);
                let mut row = head.to_vec();
                row.extend([
                    step.name.clone(),
                    step.traced.to_string(),
                    step.requests.to_string(),
                    step.accepted.to_string(),
                    step.errors.values().sum::<u64>().to_string(),
                    step.retries.to_string(),
                    per_sec(level, step.accepted),
                ]);
                row.extend(times(&step.response));
                row.push(milliseconds(arrival.and_then(|arrival| arrival.p50_us)));
                row.push(milliseconds(arrival.and_then(|arrival| arrival.p99_us)));
                row
            })
            .collect()
    })
}

/// `rounds.tsv`.
pub(super) fn rounds(report: &Report) -> Vec<u8> {
    render(report, &ROUNDS, |level, head| {
        let scenario = level.load.scenario.iter();
        scenario
            .flat_map(|scenario| &scenario.rounds)
            .map(|rounds| {
                let mut row = head.to_vec();
                row.extend([
                    rounds.task.clone(),
                    rounds.ended.to_string(),
                    rounds.failed.to_string(),
                    per_sec(level, rounds.ended),
                ]);
                row.extend(times(&rounds.whole));
                let [mean, p50, ..] = times(&rounds.waiting);
                row.extend([mean, p50, decimal(Some(rounds.pauses_us / 1e3), 3)]);
                row
            })
            .collect()
    })
}

fn render(report: &Report, columns: &[&str], rows: impl Fn(&Level, &[String]) -> Vec<Vec<String>>) -> Vec<u8> {
    let mut tsv = String::new();
    line(&mut tsv, columns);
    for level in &report.levels {
        let load = &level.load;
        let head = [
            load.run.to_string(),
            load.scenario.as_ref().map_or_else(String::new, |scenario| scenario.users.to_string()),
            decimal(load.rate, 3),
            load.repeat.to_string(),
        ];
        for row in rows(level, &head) {
            line(&mut tsv, &row);
        }
    }
    tsv.into_bytes()
}

/// Mean, p50, p99 and max, ms.
fn times(times: &Times) -> [String; 4] {
    let whole = |us: Option<u64>| decimal(us.map(|us| us as f64 / 1e3), 3);
    [decimal(times.mean_us.map(|us| us / 1e3), 3), whole(times.p50_us), whole(times.p99_us), whole(times.max_us)]
}

fn per_sec(level: &Level, count: u64) -> String {
    let seconds = level.load.http.as_ref().map(|http| http.duration_us as f64 / 1e6).filter(|seconds| *seconds > 0.0);
    decimal(seconds.map(|seconds| count as f64 / seconds), 1)
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
