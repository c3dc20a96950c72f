//! `vary.tsv`, `vary.md`, `vary.json`, and the table for the terminal.

use super::decimal;
use analysis::number::NOT_AVAILABLE;
use analysis::{Averaged, Combination, KeyFigureKind, Varied, aligned};
use std::fmt::Write;

/// The figures that any combination has.
fn kinds(varied: &Varied) -> Vec<KeyFigureKind> {
    let is_known = |kind: &KeyFigureKind| varied.combinations.iter().any(|one| one.figures.contains_key(kind.name));
    KeyFigureKind::ALL.into_iter().filter(is_known).collect()
}

/// `vary.tsv`: a row for each combination; each figure with the ends of its interval.
pub(super) fn tsv(varied: &Varied) -> String {
    let params = varied.params.iter().map(|(name, _)| name.clone());
    let figures = kinds(varied);
    let of_figures = figures.iter().flat_map(|kind| ["", "_low", "_high"].map(|end| format!("{}{end}", kind.name)));
    let header: Vec<String> = params.chain(["runs".to_owned()]).chain(of_figures).collect();
    let mut tsv = header.join("\t") + "\n";
    for combination in &varied.combinations {
        let values = combination.values.iter().map(|value| value.replace(['\t', '\n'], " "));
        let of_figures = figures.iter().flat_map(|kind| {
            let averaged = combination.figures.get(kind.name);
            let interval = averaged.and_then(|averaged| averaged.interval);
            let low = averaged.filter(|one| one.at_least).map(|one| one.mean);
            [averaged.map(|one| one.mean), interval.map(|ends| ends.0).or(low), interval.map(|ends| ends.1)]
                .map(|value| decimal(value, 1))
        });
        let row: Vec<String> = values.chain([combination.runs.to_string()]).chain(of_figures).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(tsv, "{}", row.join("\t"));
    }
    tsv
}

/// `vary.md`: what it tells, the combinations, the effects, and the runs.
pub(super) fn markdown(varied: &Varied) -> String {
    let mut text = format!("# {}: {}\n\n", varied.plan, stamp::counted(varied.combinations.len(), "combination"));
    for sentence in &varied.sentences {
        let _ = writeln!(text, "- {sentence}");
    }
    let figures = kinds(varied);
    let names: Vec<&str> = varied.params.iter().map(|(name, _)| name.as_str()).collect();
    let abouts: Vec<&str> = figures.iter().map(|kind| kind.about).collect();
    let _ = writeln!(
        text,
        "\n| {} | runs | {} |\n|{}|",
        names.join(" | "),
        abouts.join(" | "),
        "---:|".repeat(names.len() + 1 + abouts.len()).trim_end_matches('|')
    );
    for (at, combination) in varied.combinations.iter().enumerate() {
        let cells: Vec<String> = figures.iter().map(|kind| cell(*kind, combination)).collect();
        let best = if varied.best.first() == Some(&at) { " **best**" } else { "" };
        let _ = writeln!(
            text,
            "| {} | {}{best} | {} |",
            combination.values.join(" | "),
            combination.runs,
            cells.join(" | ")
        );
    }
    if !varied.effects.is_empty() {
        let about = varied.kind().map_or("", |kind| kind.about);
        let _ = writeln!(text, "\nWhat a value changes against the first one, as a multiple of {about}:\n");
        let _ = writeln!(
            text,
            "| parameter | value | against | × | 95 % interval | over the others | share |\n|:---|---:|---:|---:|---:|---:|---:|"
        );
        for effect in &varied.effects {
            let interval = effect
                .interval
                .map_or_else(|| NOT_AVAILABLE.to_owned(), |(low, high)| format!("{low:.3} to {high:.3}"));
            let depends = if effect.depends { " depends on them" } else { "" };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.3} | {interval} | {:.3} to {:.3}{depends} | {:.0} % |",
                effect.param,
                effect.value,
                effect.against,
                effect.ratio,
                effect.range.0,
                effect.range.1,
                effect.share * 100.0
            );
        }
    }
    let _ = writeln!(
        text,
        "\n| run | {} | repetition | report | it found |\n|---:|{}---:|:---|:---|",
        names.join(" | "),
        "---:|".repeat(names.len())
    );
    for run in &varied.runs {
        let values: Vec<&str> = run.combination.iter().map(|(_, value)| value.as_str()).collect();
        let found = run.failed.as_ref().map(|why| format!("failed: {}", why.replace(['\n', '|'], " ")));
        let found = found.or_else(|| run.verdict.clone()).unwrap_or_default();
        let (number, repeat, report) = (run.number, run.repeat, &run.report);
        let _ = writeln!(
            text,
            "| {number} | {} | {repeat} | [{report}]({report}/report.html) | {found} |",
            values.join(" | ")
        );
    }
    text
}

fn cell(kind: KeyFigureKind, combination: &Combination) -> String {
    let shown = |averaged: &Averaged| {
        let mean = averaged.shown(kind);
        averaged
            .interval
            .map_or(mean.clone(), |(low, high)| format!("{mean} ({} to {})", kind.shown(low), kind.shown(high)))
    };
    combination.figures.get(kind.name).map_or_else(|| NOT_AVAILABLE.to_owned(), shown)
}

/// The table of a plan's combinations, as people read it on a terminal: each combination with the figure that they are compared by.
pub fn text(varied: &Varied) -> String {
    let kinds: Vec<KeyFigureKind> = kinds(varied).into_iter().take(3).collect();
    let mut rows = vec![
        varied
            .params
            .iter()
            .map(|(name, _)| name.clone())
            .chain(["runs".to_owned()])
            .chain(kinds.iter().map(|kind| kind.about.to_owned()))
            .collect::<Vec<String>>(),
    ];
    for combination in &varied.combinations {
        let cells = kinds.iter().map(|kind| cell(*kind, combination));
        rows.push(combination.values.iter().cloned().chain([combination.runs.to_string()]).chain(cells).collect());
    }
    aligned(&rows, |_| false)
}
