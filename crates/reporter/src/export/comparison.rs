//! `compare.tsv`, `compare.md`, `compare.json`, and the table for the terminal.

use super::{decimal, yes_no};
use analysis::number::NOT_AVAILABLE;
use analysis::percent_of_change;
use analysis::{Certainty, Comparison, Figure, FigureChange, Measure, Method, Series, aligned, distinct};
use std::fmt::Write;

/// What a terminal has room for.
const ON_TERMINAL: [Measure; 3] = [Measure::DeliveredPerSec, Measure::ArrivalP50Us, Measure::ArrivalP99Us];

/// Says what the star at a level means.
const LIMITED: &str = "* generator-limited: the load generator, not the pipeline, could do no more.";

/// Says what the dagger at a level means.
const UNSTABLE: &str = "† did not keep up with the load: its latencies tell of this duration alone.";

/// `compare.tsv`: one row for each level and series, with the spread over the repetitions and what changed against the first series.
pub(super) fn tsv(comparison: &Comparison) -> String {
    let mut header = vec![position_name(comparison).to_owned(), "series".to_owned(), "repetitions".to_owned()];
    for (_, column, ..) in COLUMNS {
        header.extend(["", "_least", "_most"].map(|end| format!("{column}{end}")));
    }
    header.extend(["lost", "generator_limited", "unstable"].map(str::to_owned));
    for (_, column, ..) in COLUMNS {
        header
            .extend(["change_percent", "change_low", "change_high", "change_by"].map(|end| format!("{column}_{end}")));
    }
    let mut tsv = header.join("\t") + "\n";
    for (position, series) in cells(comparison) {
        let Some(point) = series.at(position) else { continue };
        let mut row = vec![position.to_string(), plain(&series.label), point.repetitions.to_string()];
        for (measure, _, per, digits) in COLUMNS {
            let spread = point.figure(measure).map(Figure::spread);
            let values = [
                spread.map(|spread| spread.median),
                spread.map(|spread| spread.least),
                spread.map(|spread| spread.most),
            ];
            row.extend(values.map(|value| decimal(value.map(|value| value / per), digits)));
        }
        row.extend([point.lost.to_string(), yes_no(point.generator_limited), yes_no(point.unstable)]);
        for (measure, ..) in COLUMNS {
            let change = comparison.change(series, position).and_then(|change| change.of(measure));
            let interval = change.and_then(FigureChange::interval);
            let parts = [
                change.and_then(|change| change.relative),
                interval.map(|ends| ends.low),
                interval.map(|ends| ends.high),
            ];
            row.extend(parts.map(|part| decimal(part.map(|part| part * 100.0), 2)));
            row.push(interval.map_or(NOT_AVAILABLE, |ends| method(ends.method)).to_owned());
        }
        // Writing to a String cannot fail.
        let _ = writeln!(tsv, "{}", row.join("\t"));
    }
    tsv
}

/// The measures as columns: their names in units that people read, what to divide by, and how many decimals.
const COLUMNS: [(Measure, &str, f64, usize); 6] = [
    (Measure::AcceptedPerSec, "accepted_per_sec", 1.0, 1),
    (Measure::DeliveredPerSec, "delivered_per_sec", 1.0, 1),
    (Measure::ArrivalP50Us, "arrival_p50_ms", 1e3, 3),
    (Measure::ArrivalP90Us, "arrival_p90_ms", 1e3, 3),
    (Measure::ArrivalP99Us, "arrival_p99_ms", 1e3, 3),
    (Measure::CpuUsPerMessage, "cpu_us_per_message", 1.0, 2),
];

/// `compare.md`: the sentences, the table of levels, and what differs between the series: as it may stand in a pull request.
pub(super) fn markdown(comparison: &Comparison) -> String {
    let mut text = String::new();
    for sentence in &comparison.sentences {
        let _ = writeln!(text, "- {}", escaped(sentence));
    }
    let all: Vec<Measure> = Measure::ALL.into_iter().filter(|&measure| is_known(comparison, measure)).collect();
    let Table { header, rows } = Table::new(comparison, &all, Style::Markdown);
    if !comparison.sentences.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "| {} |\n|---:|:---|{}", header.join(" | "), "---:|".repeat(header.len() - 2));
    for row in &rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    let notes: Vec<String> = notes(comparison).iter().map(|note| escaped(note)).collect();
    let _ = writeln!(text, "\n{}", notes.join("  \n"));
    steps(comparison, &mut text);
    if comparison.differences.is_empty() {
        let _ = writeln!(text, "\nNo setting differs.");
        return text;
    }
    let labels: Vec<String> = comparison.series.iter().map(|series| escaped(&series.label)).collect();
    let _ = writeln!(text, "\n| setting | {} |\n|:---{}|", labels.join(" | "), "|:---".repeat(labels.len()));
    for difference in &comparison.differences {
        let values: Vec<String> = difference.values.iter().map(|value| escaped(shown(value.as_ref()))).collect();
        let _ = writeln!(text, "| {} | {} |", difference.setting, values.join(" | "));
    }
    text
}

/// A table of the steps, where users made a load; the series of a step stand one below the other.
fn steps(comparison: &Comparison, text: &mut String) {
    let mut rows = String::new();
    for position in comparison.positions() {
        let points = || comparison.series.iter().filter_map(|series| Some((series, series.at(position)?)));
        for name in distinct(points().flat_map(|(_, point)| &point.steps).map(|step| step.step.as_str())) {
            let found = points()
                .filter_map(|(series, point)| Some((series, point.steps.iter().find(|step| step.step == name)?)));
            for (series, step) in found {
                let times = [step.response_p50_us, step.response_p99_us, step.arrival_p50_us, step.arrival_p99_us];
                let times = times.map(|us| decimal(us.map(|us| us / 1e3), 3)).join(" | ");
                let (name, label) = (escaped(name), escaped(&series.label));
                let _ = writeln!(rows, "| {position} | {name} | {label} | {times} | {} |", step.errors);
            }
        }
    }
    if !rows.is_empty() {
        let header = "| level | step | series | response p50 ms | p99 ms | arrival p50 ms | p99 ms | failed |";
        let _ = write!(text, "\n{header}\n|---:|:---|:---|---:|---:|---:|---:|---:|\n{rows}");
    }
}

/// The table of a comparison, as people read it on a terminal, with the sentences at its end.
pub fn text(comparison: &Comparison) -> String {
    let Table { header, mut rows } = Table::new(comparison, &ON_TERMINAL, Style::Terminal);
    rows.insert(0, header);
    let mut text = format!("{}\n{}", aligned(&rows, |column| column == 1), notes(comparison).join("\n"));
    for difference in &comparison.differences {
        for (series, value) in comparison.series.iter().zip(&difference.values) {
            let _ = write!(text, "\n{} of {}: {}", difference.setting, series.label, shown(value.as_ref()));
        }
    }
    for sentence in &comparison.sentences {
        let _ = write!(text, "\n- {sentence}");
    }
    text
}

/// Levels by series: a table that both people and Markdown can show.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// For whom a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Markdown,
    Terminal,
}

impl Table {
    fn new(comparison: &Comparison, measures: &[Measure], style: Style) -> Self {
        let mut last = None;
        let row = |(position, series): (f64, &Series)| {
            // The level stands once, at the first of its rows.
            let star = if comparison.generator_limited(position) { "*" } else { "" };
            let dagger = if comparison.unstable(position) { "†" } else { "" };
            let level =
                if last == Some(position.to_bits()) { String::new() } else { format!("{position}{star}{dagger}") };
            last = Some(position.to_bits());
            let point = series.at(position);
            let change = comparison.change(series, position);
            let figure = |&measure: &Measure| {
                let figure = point.and_then(|point| point.figure(measure));
                let (_, per, digits) = column(measure);
                let value = decimal(figure.map(|figure| figure.median / per), digits);
                match change.and_then(|change| change.of(measure)) {
                    Some(change) => format!("{value} {}", style.change(change)),
                    None => value,
                }
            };
            let lost = point.map_or_else(|| NOT_AVAILABLE.to_owned(), |point| point.lost.to_string());
            let label = if style == Style::Markdown { escaped(&series.label) } else { series.label.clone() };
            let level = if style == Style::Markdown { escaped(&level) } else { level };
            [level, label].into_iter().chain(measures.iter().map(figure)).chain([lost]).collect()
        };
        let rows = cells(comparison).map(row).collect();
        let names = measures.iter().map(|&measure| column(measure).0.to_owned());
        let header = [position_name(comparison).to_owned(), "series".to_owned()];
        Self { header: header.into_iter().chain(names).chain(["lost".to_owned()]).collect(), rows }
    }
}

impl Style {
    /// A change in a cell: what is told apart from chance stands out.
    fn change(self, change: &FigureChange) -> String {
        let percent = percent_of_change(change);
        match (self, change.told_apart) {
            (Self::Markdown, true) => format!("**{percent}**"),
            (Self::Terminal, true) => format!("{percent} !"),
            (Self::Markdown, false) => percent,
            // As wide as the other, so that numbers stand below each other.
            (Self::Terminal, false) => format!("{percent}  "),
        }
    }
}

/// How a measure is shown in a table: with its name, what to divide by, and how many decimals.
fn column(measure: Measure) -> (&'static str, f64, usize) {
    match measure {
        Measure::AcceptedPerSec => ("accepted/s", 1.0, 0),
        Measure::DeliveredPerSec => ("delivered/s", 1.0, 0),
        Measure::ArrivalP50Us => ("arrival p50 ms", 1e3, 3),
        Measure::ArrivalP90Us => ("arrival p90 ms", 1e3, 3),
        Measure::ArrivalP99Us => ("arrival p99 ms", 1e3, 3),
        Measure::CpuUsPerMessage => ("CPU µs a message", 1.0, 1),
    }
}

fn is_known(comparison: &Comparison, measure: Measure) -> bool {
    comparison.series.iter().flat_map(|series| &series.points).any(|point| point.figure(measure).is_some())
}

/// Level by level, and in each of them series by series.
fn cells(comparison: &Comparison) -> impl Iterator<Item = (f64, &Series)> {
    let series = |position: f64| comparison.series.iter().map(move |series| (position, series));
    comparison.positions().into_iter().flat_map(series)
}

fn position_name(comparison: &Comparison) -> &'static str {
    if comparison.by_rate { "rate" } else { "concurrency" }
}

/// A setting's value.
fn shown(value: Option<&String>) -> &str {
    match value.map(String::as_str) {
        None => NOT_AVAILABLE,
        Some("") => "(none)",
        Some(value) => value,
    }
}

/// What the figures are.
fn notes(comparison: &Comparison) -> Vec<String> {
    let measured = match comparison.repetitions() {
        (_, 0 | 1) => "Each level was measured once.".to_owned(),
        (least, most) if least == most => format!("Medians of {most} repetitions; lost messages of all of them."),
        (least, most) => format!("Medians of {least} to {most} repetitions; lost messages of all of them."),
    };
    let mut notes = vec![measured];
    let changes = || comparison.changes.iter().flat_map(|change| &change.figures);
    if let Some(first) = comparison.series.first().filter(|_| changes().next().is_some()) {
        let methods = [Method::Mover, Method::MoverPooled, Method::Welch].map(|method| {
            let used = changes().any(|change| change.interval().is_some_and(|ends| ends.method == method));
            used.then(|| by(method))
        });
        let methods: Vec<&str> = methods.into_iter().flatten().collect();
        let how = if methods.is_empty() {
            "no change has a confidence interval".to_owned()
        } else {
            format!("95 % confidence intervals from {}", methods.join("; and from "))
        };
        notes.push(format!("Changes against {}; {how}.", first.label));
        notes.push(
            "A change whose interval excludes 0 stands out; of 20 that are none, about one does so by chance."
                .to_owned(),
        );
        let mut why: Vec<&str> = changes()
            .filter_map(|change| match &change.certainty {
                Certainty::NoInterval(why) => Some(why.as_str()),
                Certainty::Interval(_) => None,
            })
            .collect();
        why.sort_unstable();
        why.dedup();
        if !why.is_empty() {
            notes.push(format!("Some changes have no interval: {}.", why.join("; or ")));
        }
    }
    let marked =
        |is: fn(&Comparison, f64) -> bool| comparison.positions().into_iter().any(|position| is(comparison, position));
    notes.extend(marked(Comparison::generator_limited).then(|| LIMITED.to_owned()));
    notes.extend(marked(Comparison::unstable).then(|| UNSTABLE.to_owned()));
    notes
}

fn by(method: Method) -> &'static str {
    match method {
        Method::Mover => "the two measurements' own (how measurements differ from day to day is not in them)",
        Method::MoverPooled => "the outermost ends of the repetitions' own",
        Method::Welch => "the spread of the repetitions",
    }
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Mover => "mover",
        Method::MoverPooled => "mover_pooled",
        Method::Welch => "welch",
    }
}

/// A cell of a Markdown table ends at a bar, wherever that stands.
pub(super) fn escaped(cell: &str) -> String {
    plain(cell).replace('|', "\\|").replace('*', "\\*")
}

/// A cell in one line and without tabs.
fn plain(cell: &str) -> String {
    cell.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::labelled;

    fn comparison() -> Comparison {
        let mut reports = labelled(&["inline", "a|channel", "a|channel"], &[1, 20]);
        reports[0].1.settings.insert("pushserver_args".to_owned(), "--handoff inline".to_owned());
        reports[1].1.settings.insert("pushserver_args".to_owned(), String::new());
        reports[2].1.levels.truncate(1);
        reports[2].1.levels[0].arrival.p50_us = Some(50);
        reports[2].1.levels[0].books.lost = 7;
        reports[1].1.levels[1].load.generator_limited = Some("too few connections".to_owned());
        reports[1].1.levels[1].arrival = analysis::Distribution::default();
        Comparison::new(&reports).unwrap()
    }

    #[test]
    fn the_table_as_markdown() {
        insta::assert_snapshot!(markdown(&comparison()), @r#"
        - p99 of arrival latency: not told apart from chance at any of 1 level.
        - Lost messages, in all: 0 → 7.
        - How sure a rate is shows only where each level was measured three times or more (--repeat 3).

        | concurrency | series | accepted/s | delivered/s | arrival p50 ms | arrival p90 ms | arrival p99 ms | CPU µs a message | lost |
        |---:|:---|---:|---:|---:|---:|---:|---:|---:|
        | 1 | inline | 8000 | 8000 | 0.159 | 0.318 | 0.636 | 34.0 | 0 |
        |  | a\|channel | 8000 0.0 % | 8000 0.0 % | 0.104 -44 % | 0.318 0 % [-12, +13] | 0.636 0 % [-12, +14] | 34.0 0.0 % | 7 |
        | 20\* | inline | 33333 | 33333 | 0.558 | 1.116 | 2.232 | 34.0 | 0 |
        |  | a\|channel | 33333 0.0 % | 33333 0.0 % | n/a | n/a | n/a | 34.0 0.0 % | 0 |

        Medians of 1 to 2 repetitions; lost messages of all of them.  
        Changes against inline; 95 % confidence intervals from the outermost ends of the repetitions' own.  
        A change whose interval excludes 0 stands out; of 20 that are none, about one does so by chance.  
        Some changes have no interval: it takes 3 repetitions of each side; or the sample does not bound it from both sides.  
        \* generator-limited: the load generator, not the pipeline, could do no more.

        | setting | inline | a\|channel |
        |:---|:---|:---|
        | pushserver_args | --handoff inline | (none) |
        "#);
    }

    #[test]
    fn the_table_on_a_terminal() {
        insta::assert_snapshot!(text(&comparison()), @r#"
        concurrency  series       delivered/s  arrival p50 ms          arrival p99 ms  lost
                  1  inline              8000           0.159                   0.636     0
                     a|channel   8000 0.0 %     0.104 -44 %    0.636 0 % [-12, +14]       7
                20*  inline             33333           0.558                   2.232     0
                     a|channel  33333 0.0 %               n/a                     n/a     0
        Medians of 1 to 2 repetitions; lost messages of all of them.
        Changes against inline; 95 % confidence intervals from the outermost ends of the repetitions' own.
        A change whose interval excludes 0 stands out; of 20 that are none, about one does so by chance.
        Some changes have no interval: it takes 3 repetitions of each side; or the sample does not bound it from both sides.
        * generator-limited: the load generator, not the pipeline, could do no more.
        pushserver_args of inline: --handoff inline
        pushserver_args of a|channel: (none)
        - p99 of arrival latency: not told apart from chance at any of 1 level.
        - Lost messages, in all: 0 → 7.
        - How sure a rate is shows only where each level was measured three times or more (--repeat 3).
        "#);
    }

    #[test]
    fn the_table_with_all_figures() {
        insta::assert_snapshot!(tsv(&comparison()).replace('\t', " "), @r#"
        concurrency series repetitions accepted_per_sec accepted_per_sec_least accepted_per_sec_most delivered_per_sec delivered_per_sec_least delivered_per_sec_most arrival_p50_ms arrival_p50_ms_least arrival_p50_ms_most arrival_p90_ms arrival_p90_ms_least arrival_p90_ms_most arrival_p99_ms arrival_p99_ms_least arrival_p99_ms_most cpu_us_per_message cpu_us_per_message_least cpu_us_per_message_most lost generator_limited unstable accepted_per_sec_change_percent accepted_per_sec_change_low accepted_per_sec_change_high accepted_per_sec_change_by delivered_per_sec_change_percent delivered_per_sec_change_low delivered_per_sec_change_high delivered_per_sec_change_by arrival_p50_ms_change_percent arrival_p50_ms_change_low arrival_p50_ms_change_high arrival_p50_ms_change_by arrival_p90_ms_change_percent arrival_p90_ms_change_low arrival_p90_ms_change_high arrival_p90_ms_change_by arrival_p99_ms_change_percent arrival_p99_ms_change_low arrival_p99_ms_change_high arrival_p99_ms_change_by cpu_us_per_message_change_percent cpu_us_per_message_change_low cpu_us_per_message_change_high cpu_us_per_message_change_by
        1 inline 1 8000.0 8000.0 8000.0 8000.0 8000.0 8000.0 0.159 0.159 0.159 0.318 0.318 0.318 0.636 0.636 0.636 34.00 34.00 34.00 0 no no n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a
        1 a|channel 2 8000.0 8000.0 8000.0 8000.0 8000.0 8000.0 0.104 0.050 0.159 0.318 0.318 0.318 0.636 0.636 0.636 34.00 34.00 34.00 7 no no 0.00 n/a n/a n/a 0.00 n/a n/a n/a -43.92 n/a n/a n/a 0.00 -11.86 13.45 mover_pooled 0.00 -12.05 13.70 mover_pooled 0.00 n/a n/a n/a
        20 inline 1 33333.3 33333.3 33333.3 33333.3 33333.3 33333.3 0.558 0.558 0.558 1.116 1.116 1.116 2.232 2.232 2.232 34.00 34.00 34.00 0 no no n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a
        20 a|channel 1 33333.3 33333.3 33333.3 33333.3 33333.3 33333.3 n/a n/a n/a n/a n/a n/a n/a n/a n/a 34.00 34.00 34.00 0 yes no 0.00 n/a n/a n/a 0.00 n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a n/a 0.00 n/a n/a n/a
        "#);
    }

    #[test]
    fn the_steps_of_both_stand_together() {
        let mut reports = labelled(&["a", "b"], &[4, 20]);
        for (_, report) in &mut reports {
            *report = analysis::fixture::with_steps(report.clone());
        }
        let text = markdown(&Comparison::new(&reports).unwrap());
        let table = &text[text.find("| level | step").unwrap()..];
        let rows: Vec<&str> =
            table.lines().skip(2).take(8).map(|row| &row[..row.match_indices('|').nth(3).unwrap().0]).collect();
        assert_eq!(rows[..4], ["| 4 | add | a ", "| 4 | add | b ", "| 4 | GET /orders | a ", "| 4 | GET /orders | b "]);
        assert!(rows[4..].iter().all(|row| row.starts_with("| 20 |")), "{table}");
    }

    #[test]
    fn the_comparison_as_json_tells_what_the_page_says() {
        let mut json: serde_json::Value =
            serde_json::from_slice(&super::super::json::render(&comparison()).unwrap()).unwrap();
        let change = &mut json["changes"][0];
        let mut lines: Vec<String> =
            change["figures"].take().as_array().unwrap().iter().map(ToString::to_string).collect();
        lines.push(change.to_string());
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"from":8000.0,"measure":"accepted_per_sec","no_interval":"it takes 3 repetitions of each side","relative":0.0,"to":8000.0,"told_apart":false}
        {"from":8000.0,"measure":"delivered_per_sec","no_interval":"it takes 3 repetitions of each side","relative":0.0,"to":8000.0,"told_apart":false}
        {"from":159.0,"measure":"arrival_p50_us","no_interval":"the sample does not bound it from both sides","relative":-0.4392278459079556,"to":104.5,"told_apart":false}
        {"from":318.0,"interval":{"high":0.13451829759683842,"low":-0.11856864528476807,"method":"mover_pooled"},"measure":"arrival_p90_us","relative":0.0,"to":318.0,"told_apart":false}
        {"from":636.0,"interval":{"high":0.13703265729467318,"low":-0.12051778496909071,"method":"mover_pooled"},"measure":"arrival_p99_us","relative":0.0,"to":636.0,"told_apart":false}
        {"from":34.0,"measure":"cpu_us_per_message","no_interval":"it takes 3 repetitions of each side","relative":0.0,"to":34.0,"told_apart":false}
        {"figures":null,"lost":null,"position":1.0,"series":"a|channel"}
        "#);
    }
}
