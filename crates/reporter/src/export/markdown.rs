//! `summary.md`: the report in short, for the text of a pull request.

use super::comparison::escaped;
use super::decimal;
use analysis::number::NOT_AVAILABLE;
use analysis::{Http, Interval, Level, Report};
use std::fmt::Write;

pub(super) fn render(report: &Report) -> String {
    let mut text = format!("### Stampede: sweep {}\n", escaped(&report.sweep));
    for (index, sentence) in report.findings.verdict.iter().enumerate() {
        let sentence = escaped(sentence);
        // The first sentence is the most important one. Writing to a String cannot fail.
        let _ = if index == 0 { write!(text, "\n**{sentence}**") } else { write!(text, " {sentence}") };
    }
    if !report.findings.verdict.is_empty() {
        text.push('\n');
    }
    levels(&mut text, report);
    steps(&mut text, report);
    thresholds(&mut text, report);
    accounting(&mut text, report);
    text
}

fn levels(text: &mut String, report: &Report) {
    if report.levels.is_empty() {
        text.push_str("\nNo level was measured.\n");
        return;
    }
    let position = if report.is_by_rate() { "rate" } else { "concurrency" };
    let _ = writeln!(
        text,
        "\n| {position} | accepted/s | delivered/s | http mean ms | arrival p50 ms | p99 ms | p99, 95 % interval | lost | remarks |"
    );
    text.push_str("|---:|---:|---:|---:|---:|---:|:---:|---:|:---|\n");
    for level in &report.levels {
        let _ = writeln!(text, "| {} |", row(level).join(" | "));
    }
}

/// The steps of users, where these made the load.
fn steps(text: &mut String, report: &Report) {
    if !report.has_users() {
        return;
    }
    text.push_str("\n| level | step | accepted | failed | response p50 ms | p99 ms | arrival p50 ms | p99 ms |\n");
    text.push_str("|---:|:---|---:|---:|---:|---:|---:|---:|\n");
    for level in &report.levels {
        let position = level.load.position().map_or_else(String::new, |position| position.to_string());
        for step in level.user_steps() {
            let arrival = level.arrival_of(step);
            let response = [step.response.p50_us, step.response.p99_us].map(|us| us.map(|us| us as f64));
            let arrival = [arrival.and_then(|one| one.p50_us), arrival.and_then(|one| one.p99_us)];
            let times = response.into_iter().chain(arrival.map(|us| us.map(|us| us as f64)));
            let times: Vec<String> = times.map(|us| decimal(us.map(|us| us / 1e3), 3)).collect();
            let (name, failed) = (escaped(&step.name), step.errors.values().sum::<u64>());
            let _ = writeln!(text, "| {position} | {name} | {} | {failed} | {} |", step.accepted, times.join(" | "));
        }
    }
}

fn row(level: &Level) -> [String; 9] {
    let Level { load, arrival, books, .. } = level;
    let http = load.http.as_ref();
    let milliseconds = |us: Option<i64>| decimal(us.map(|us| us as f64 / 1e3), 3);
    [
        load.position().map_or_else(|| escaped(load.run.as_str()), |position| position.to_string()),
        decimal(http.and_then(Http::accepted_per_sec), 0),
        decimal(level.delivered_per_sec(), 0),
        decimal(http.and_then(|http| http.mean_us).map(|us| us / 1e3), 3),
        milliseconds(arrival.p50_us),
        milliseconds(arrival.p99_us),
        arrival.ci95.p99.map_or_else(|| NOT_AVAILABLE.to_owned(), interval),
        books.lost.to_string(),
        escaped(&remarks(level).join("; ")),
    ]
}

fn interval(interval: Interval) -> String {
    let low = interval.low_us as f64 / 1e3;
    let high = interval.high_us.map_or_else(|| "open".to_owned(), |us| format!("{:.3}", us as f64 / 1e3));
    format!("{low:.3} to {high}")
}

/// What else must be known to read a level's figures.
fn remarks(level: &Level) -> Vec<String> {
    let Level { load, books, traces, stability, .. } = level;
    let number = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let refused = load.http.as_ref().map_or(0, Http::failed);
    [
        load.interruption(),
        stability.unstable.as_ref().map(|why| format!("unstable: {why}")),
        load.generator_limited.as_ref().map(|why| format!("generator-limited: {why}")),
        number(refused, "requests failed"),
        number(books.in_flight, "in flight at the cut-off"),
        number(books.late, "late"),
        number(traces.stamps_dropped, "stamps dropped"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn thresholds(text: &mut String, report: &Report) {
    if report.thresholds.is_empty() {
        return;
    }
    text.push_str("\n| threshold | verdict | measured |\n|:---|:---|:---|\n");
    for verdict in &report.thresholds {
        let word = if verdict.held { verdict.word().to_owned() } else { format!("**{}**", verdict.word()) };
        // The grammar of thresholds has no place for what would end a code span or a cell.
        let _ = writeln!(text, "| `{}` | {word} | {} |", verdict.threshold, escaped(&verdict.told()));
    }
}

/// What became of all messages of all levels.
fn accounting(text: &mut String, report: &Report) {
    let sum = |of: fn(&Level) -> u64| report.levels.iter().map(of).sum::<u64>();
    let lost: i64 = report.levels.iter().map(|level| level.books.lost).sum();
    let [accepted, unanswered] = [sum(|level| level.books.accepted), sum(|level| level.books.unanswered)];
    let [arrived, late, in_flight] =
        [sum(|level| level.books.arrived), sum(|level| level.books.late), sum(|level| level.books.in_flight)];
    let [duplicates, shed] = [sum(|level| level.books.duplicates), sum(|level| level.books.shed)];
    let _ = write!(
        text,
        "\nMessages: {accepted} accepted + {unanswered} unanswered = {arrived} arrived + {late} late + {in_flight} in flight + {lost} lost. \
         Beside these {duplicates} duplicates and {shed} refused. "
    );
    if let Some(workers) = report.levels.iter().map(|level| level.load.workers.len()).max().filter(|count| *count > 0) {
        let _ = write!(text, "The load was made by {}. ", stamp::counted(workers, "worker"));
    }
    let every = report.every.map_or_else(String::new, |every| format!(", 1 in {every}"));
    let _ = writeln!(text, "Sampled: {}{every}.", sum(|level| level.traces.sampled));
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::report_of;
    use analysis::{Findings, Load, ThresholdVerdict};

    #[test]
    fn steps_have_a_table() {
        let text = render(&analysis::fixture::with_steps(report_of(&[8])));
        let table = &text[text.find("| level | step").unwrap()..];
        insta::assert_snapshot!(table.lines().take(4).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn the_summary() {
        let mut report = report_of(&[1, 2, 20]);
        report.findings = Findings {
            verdict: vec!["It carries 33,333 messages/s.".to_owned(), "Then the queue | gives *way*.".to_owned()],
            ..Findings::default()
        };
        report.levels[0].arrival.ci95.p99 = Some(Interval { low_us: 601, high_us: Some(702), effective_count: 800 });
        report.levels[1].arrival.ci95.p99 = Some(Interval { low_us: 601, high_us: None, effective_count: 400 });
        report.levels[1].books.in_flight = 12;
        report.levels[1].books.late = 3;
        report.levels[2].arrival.ci95.p99 = None;
        report.levels[2].arrival.p99_us = None;
        report.levels[2].stability.unstable = Some("the queue grew".to_owned());
        let verdict = |threshold: &str, held| ThresholdVerdict {
            threshold: threshold.to_owned(),
            held,
            measured: Some(12.0),
            is_time: false,
            at: Some("c=20".to_owned()),
            not_measured: None,
        };
        report.thresholds = vec![verdict("lost==0", true), verdict("late<3", false)];
        insta::assert_snapshot!(render(&report), @r#"
        ### Stampede: sweep 20261121-101500-k3f

        **It carries 33,333 messages/s.** Then the queue \| gives \*way\*.

        | concurrency | accepted/s | delivered/s | http mean ms | arrival p50 ms | p99 ms | p99, 95 % interval | lost | remarks |
        |---:|---:|---:|---:|---:|---:|:---:|---:|:---|
        | 1 | 8000 | 8000 | 0.022 | 0.159 | 0.636 | 0.601 to 0.702 | 0 |  |
        | 2 | 13333 | 13333 | 0.029 | 0.180 | 0.720 | 0.601 to open | 0 | 12 in flight at the cut-off; 3 late |
        | 20 | 33333 | 33333 | 0.158 | 0.558 | n/a | n/a | 0 | unstable: the queue grew |

        | threshold | verdict | measured |
        |:---|:---|:---|
        | `lost==0` | held | 12 at c=20 |
        | `late<3` | **missed** | 12 at c=20 |

        Messages: 546666 accepted + 0 unanswered = 546666 arrived + 3 late + 12 in flight + 0 lost. Beside these 0 duplicates and 0 refused. Sampled: 5466, 1 in 100.
        "#);
    }

    #[test]
    fn a_run_of_another_program_and_no_run_at_all() {
        let mut report = report_of(&[1]);
        report.findings = Findings::default();
        report.levels[0].load = Load::foreign("monday".parse().unwrap());
        report.levels[0].arrival.ci95.p99 = None;
        insta::assert_snapshot!(render(&report), @r#"
        ### Stampede: sweep 20261121-101500-k3f

        | concurrency | accepted/s | delivered/s | http mean ms | arrival p50 ms | p99 ms | p99, 95 % interval | lost | remarks |
        |---:|---:|---:|---:|---:|---:|:---:|---:|:---|
        | monday | n/a | 8000 | n/a | 0.159 | 0.636 | n/a | 0 |  |

        Messages: 80000 accepted + 0 unanswered = 80000 arrived + 0 late + 0 in flight + 0 lost. Beside these 0 duplicates and 0 refused. Sampled: 800, 1 in 100.
        "#);
        report.levels.clear();
        insta::assert_snapshot!(render(&report), @r#"
        ### Stampede: sweep 20261121-101500-k3f

        No level was measured.

        Messages: 0 accepted + 0 unanswered = 0 arrived + 0 late + 0 in flight + 0 lost. Beside these 0 duplicates and 0 refused. Sampled: 0, 1 in 100.
        "#);
    }
}
