//! `driver history`: the runs of a folder of reports, and whether the newest is worse than those before.

use crate::output;
use clap::Args;
use history::{Row, check, read, table, write_page};
use stamp::{UsageError, ensure_usage};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Clone, Args)]
pub(crate) struct HistoryArgs {
    /// The folder for reports, which holds history.jsonl
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,

    /// Only the runs of this plan
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,

    /// Show this figure, such as `http_p99_us` [default: capacity, and p99 of arrival]
    #[arg(long, value_name = "FIGURE")]
    figure: Option<String>,

    /// Show so many runs, the newest
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..))]
    last: u32,

    /// Print these runs as JSON, a line for each
    #[arg(long, conflicts_with = "figure")]
    json: bool,

    /// Exit with 99 where the newest run of a plan is worse than the ones before it, beyond what chance explains
    #[arg(long)]
    check: bool,

    /// Write the page to this file, too: history.html in the folder for reports is always written
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(crate) fn run(args: &HistoryArgs) -> anyhow::Result<ExitCode> {
    let past = read(&args.out)?;
    past.notes.iter().for_each(|note| output::note(note));
    if past.rows.is_empty() {
        // A page of runs that were there is not left behind.
        if args.out.join(history::PAGE).exists() {
            write_page(&args.out, &[], &past.notes, None)?;
        }
        output::note(&format!(
            "{}: no runs yet; each run of `driver sweep`, `run`, `find`, `capacity` or `watch` adds one",
            args.out.join(history::FILE).display()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows: Vec<Row> = past.rows.clone();
    if let Some(plan) = &args.plan {
        rows.retain(|row| row.plan.name == *plan);
        ensure_usage(!rows.is_empty(), || {
            let names: BTreeSet<&str> = past.rows.iter().map(|row| row.plan.name.as_str()).collect();
            format!("--plan {plan}: the history has no run of it; it has {}", listed(&names))
        })?;
    }
    let last = usize::try_from(args.last).unwrap_or(usize::MAX);
    if args.json {
        for row in &rows[rows.len().saturating_sub(last)..] {
            output::result(&serde_json::to_string(row)?);
        }
    } else {
        if let Some(figure) = &args.figure {
            ensure_figure(&rows, figure)?;
        }
        output::result(&table(&rows, args.figure.as_deref(), last));
    }
    // The page has all plans: it is the same whatever is shown here.
    for file in std::iter::once(None).chain(args.html.as_deref().map(Some)) {
        write_page(&args.out, &past.rows, &past.notes, file)?;
        let page = file.map_or_else(|| args.out.join(history::PAGE), Path::to_owned);
        output::note(&format!("page: {}", page.display()));
    }
    if !args.check {
        return Ok(ExitCode::SUCCESS);
    }
    let judged = check(&past.rows, args.plan.as_deref());
    judged.sentences.iter().for_each(|sentence| output::note(&sentence.to_string()));
    Ok(if judged.is_worse() { ExitCode::from(super::THRESHOLD_MISSED) } else { ExitCode::SUCCESS })
}

fn ensure_figure(rows: &[Row], figure: &str) -> Result<(), UsageError> {
    let names: BTreeSet<&str> = rows.iter().flat_map(|row| row.figures.keys().map(String::as_str)).collect();
    ensure_usage(names.contains(figure), || format!("--figure {figure}: no run has it; there are {}", listed(&names)))
}

fn listed(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}
