//! `compare.tsv`, `compare.md`, and the table for the terminal.

use super::{NOT_AVAILABLE, decimal};
use crate::{Comparison, Point, Series, Spread};
use std::fmt::Write;

/// Says what the star at a level means.
const LIMITED: &str = "\\* generator-limited: the load generator, not the pipeline, could do no more.";

/// Levels by series: a table that both people and Markdown can show.
struct Table {
    header: [&'static str; 6],
    rows: Vec<[String; 6]>,
}

/// `compare.tsv`: one row for each level and series, with the spread over the repetitions.
pub(super) fn tsv(comparison: &Comparison) -> String {
    let mut header = vec![position_name(comparison).to_owned(), "series".to_owned(), "repetitions".to_owned()];
    for name in ["accepted_per_sec", "arrival_p50_ms", "arrival_p99_ms"] {
        header.extend(["", "_least", "_most"].map(|end| format!("{name}{end}")));
    }
    header.extend(["lost", "generator_limited"].map(str::to_owned));
    let mut tsv = header.join("\t") + "\n";
    for (position, series) in cells(comparison) {
        let Some(point) = series.at(position) else { continue };
        let mut row = vec![position.to_string(), plain(&series.label), point.repetitions.to_string()];
        for (spread, per, digits) in
            [(point.accepted_per_sec, 1.0, 1), (point.arrival_p50_us, 1e3, 3), (point.arrival_p99_us, 1e3, 3)]
        {
            let values: [fn(Spread) -> f64; 3] = [|spread| spread.median, |spread| spread.least, |spread| spread.most];
            row.extend(values.map(|value| decimal(spread.map(|spread| value(spread) / per), digits)));
        }
        row.extend([point.lost.to_string(), if point.generator_limited { "yes" } else { "no" }.to_owned()]);
        // Writing to a String cannot fail.
        let _ = writeln!(tsv, "{}", row.join("\t"));
    }
    tsv
}

/// `compare.md`: the table of levels, and what differs between the series.
pub(super) fn markdown(comparison: &Comparison) -> String {
    let Table { header, rows } = Table::new(comparison);
    let mut text = format!("| {} |\n|---:|:---|---:|---:|---:|---:|\n", header.join(" | "));
    for row in &rows {
        let _ = writeln!(text, "| {} |", row.each_ref().map(|cell| escaped(cell)).join(" | "));
    }
    let _ = writeln!(text, "\n{}", about(comparison));
    if comparison.positions().into_iter().any(|position| comparison.generator_limited(position)) {
        let _ = writeln!(text, "{LIMITED}");
    }
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

/// The same for the terminal.
pub(crate) fn text(comparison: &Comparison) -> String {
    let Table { header, rows } = Table::new(comparison);
    let header = header.map(str::to_owned);
    let width =
        |column: usize| rows.iter().chain([&header]).map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in [&header].into_iter().chain(&rows) {
        let cell = |column: usize| {
            let (cell, width) = (&row[column], widths[column]);
            if column == 1 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        };
        let cells: [String; 6] = std::array::from_fn(cell);
        let _ = writeln!(text, "{}", cells.join("  "));
    }
    let _ = write!(text, "{}", about(comparison));
    for difference in &comparison.differences {
        for (series, value) in comparison.series.iter().zip(&difference.values) {
            let _ = write!(text, "\n{} of {}: {}", difference.setting, series.label, shown(value.as_ref()));
        }
    }
    text
}

impl Table {
    fn new(comparison: &Comparison) -> Self {
        let mut last = None;
        let row = |(position, series): (f64, &Series)| {
            // The level stands once, at the first of its rows.
            let star = if comparison.generator_limited(position) { "*" } else { "" };
            let level = if last == Some(position.to_bits()) { String::new() } else { format!("{position}{star}") };
            last = Some(position.to_bits());
            let point = series.at(position);
            let median = |value: fn(&Point) -> Option<Spread>, per: f64, digits: usize| {
                decimal(point.and_then(value).map(|spread| spread.median / per), digits)
            };
            [
                level,
                series.label.clone(),
                median(|point| point.accepted_per_sec, 1.0, 0),
                median(|point| point.arrival_p50_us, 1e3, 3),
                median(|point| point.arrival_p99_us, 1e3, 3),
                point.map_or_else(|| NOT_AVAILABLE.to_owned(), |point| point.lost.to_string()),
            ]
        };
        let rows = cells(comparison).map(row).collect();
        Self {
            header: [position_name(comparison), "series", "accepted/s", "arrival p50 ms", "arrival p99 ms", "lost"],
            rows,
        }
    }
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
fn about(comparison: &Comparison) -> String {
    match comparison.repetitions() {
        (_, 0 | 1) => "Each level was measured once.".to_owned(),
        (least, most) if least == most => format!("Medians of {most} repetitions; lost messages of all of them."),
        (least, most) => format!("Medians of {least} to {most} repetitions; lost messages of all of them."),
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
    use crate::compare::tests::labelled;

    fn comparison() -> Comparison {
        let mut reports = labelled(&["inline", "a|channel", "a|channel"], &[1, 20]);
        reports[0].1.settings.insert("pushserver_args".to_owned(), "--handoff inline".to_owned());
        reports[1].1.settings.insert("pushserver_args".to_owned(), String::new());
        reports[2].1.levels.truncate(1);
        reports[2].1.levels[0].arrival.p50_us = Some(50);
        reports[2].1.levels[0].books.lost = 7;
        reports[1].1.levels[1].load.generator_limited = Some("too few connections".to_owned());
        reports[1].1.levels[1].arrival = crate::Distribution::default();
        Comparison::new(&reports).unwrap()
    }

    #[test]
    fn the_table_as_markdown() {
        insta::assert_snapshot!(markdown(&comparison()), @r#"
        | concurrency | series | accepted/s | arrival p50 ms | arrival p99 ms | lost |
        |---:|:---|---:|---:|---:|---:|
        | 1 | inline | 8000 | 0.159 | 0.636 | 0 |
        |  | a\|channel | 8000 | 0.104 | 0.636 | 7 |
        | 20\* | inline | 33333 | 0.558 | 2.232 | 0 |
        |  | a\|channel | 33333 | n/a | n/a | 0 |

        Medians of 1 to 2 repetitions; lost messages of all of them.
        \* generator-limited: the load generator, not the pipeline, could do no more.

        | setting | inline | a\|channel |
        |:---|:---|:---|
        | pushserver_args | --handoff inline | (none) |
        "#);
    }

    #[test]
    fn the_table_on_a_terminal() {
        insta::assert_snapshot!(text(&comparison()), @r#"
        concurrency  series     accepted/s  arrival p50 ms  arrival p99 ms  lost
                  1  inline           8000           0.159           0.636     0
                     a|channel        8000           0.104           0.636     7
                20*  inline          33333           0.558           2.232     0
                     a|channel       33333             n/a             n/a     0
        Medians of 1 to 2 repetitions; lost messages of all of them.
        pushserver_args of inline: --handoff inline
        pushserver_args of a|channel: (none)
        "#);
    }

    #[test]
    fn the_table_with_all_figures() {
        insta::assert_snapshot!(tsv(&comparison()).replace('\t', " "), @r#"
        concurrency series repetitions accepted_per_sec accepted_per_sec_least accepted_per_sec_most arrival_p50_ms arrival_p50_ms_least arrival_p50_ms_most arrival_p99_ms arrival_p99_ms_least arrival_p99_ms_most lost generator_limited
        1 inline 1 8000.0 8000.0 8000.0 0.159 0.159 0.159 0.636 0.636 0.636 0 no
        1 a|channel 2 8000.0 8000.0 8000.0 0.104 0.050 0.159 0.636 0.636 0.636 7 no
        20 inline 1 33333.3 33333.3 33333.3 0.558 0.558 0.558 2.232 2.232 2.232 0 no
        20 a|channel 1 33333.3 33333.3 33333.3 n/a n/a n/a n/a n/a n/a 0 yes
        "#);
    }
}
