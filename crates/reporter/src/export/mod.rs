//! The files of a report.

pub(crate) mod comparison;
mod hgrm;
mod hlog;
mod json;
mod junit;
mod markdown;
#[cfg(feature = "parquet")]
mod parquet;
mod steps;
mod tsv;
pub(crate) mod vary;
mod workers;

pub use hgrm::write_hgrm;
pub(crate) use junit::junit;

use crate::chart::{self, Picture};
use crate::html;
use analysis::number::NOT_AVAILABLE;
use analysis::{Comparison, Report, Varied};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Renders a report as one file's bytes.
type Render = fn(&Report) -> Result<Vec<u8>, RenderError>;

/// Every file of a report and what makes it, but for those of single levels, which are in [`LEVELS`].
const FILES: &[(&str, Render)] = &[
    ("report.tsv", |report| Ok(tsv::render(report).into_bytes())),
    ("report.json", |report| Ok(json::render(report)?)),
    ("report.html", |report| html::render(report).map_err(RenderError::Page)),
    ("summary.md", |report| Ok(markdown::render(report).into_bytes())),
    ("report.hlog", hlog::render),
    #[cfg(feature = "parquet")]
    ("latencies.parquet", parquet::render),
    ("arrival.png", png::<chart::Arrival>),
    ("arrival.svg", svg::<chart::Arrival>),
    ("throughput.png", png::<chart::Throughput>),
    ("throughput.svg", svg::<chart::Throughput>),
    ("hops.png", png::<chart::Hops>),
    ("hops.svg", svg::<chart::Hops>),
    ("percentiles.png", png::<chart::Percentiles>),
    ("percentiles.svg", svg::<chart::Percentiles>),
    ("timeline.png", png::<chart::Timeline>),
    ("timeline.svg", svg::<chart::Timeline>),
    ("cpu.png", png::<chart::Cpu>),
    ("cpu.svg", svg::<chart::Cpu>),
    ("heatmap.png", png::<chart::Heatmap>),
    ("heatmap.svg", svg::<chart::Heatmap>),
];

/// Files that only a report of users has.
const OF_USERS: &[(&str, Render)] = &[
    ("steps.tsv", |report| Ok(steps::steps(report))),
    ("rounds.tsv", |report| Ok(steps::rounds(report))),
    ("steps.png", png::<chart::Steps>),
    ("steps.svg", svg::<chart::Steps>),
];

/// Files that only a report of several workers has.
const OF_WORKERS: &[(&str, Render)] = &[("workers.tsv", |report| Ok(workers::workers(report)))];

/// The folder of a report that has a file for each level.
const LEVELS: &str = "levels";

fn png<P: Picture>(report: &Report) -> Result<Vec<u8>, RenderError> {
    chart::png::<P>(report).map_err(RenderError::Chart)
}

fn svg<P: Picture>(report: &Report) -> Result<Vec<u8>, RenderError> {
    chart::svg::<P>(report).map(String::into_bytes).map_err(RenderError::Chart)
}

/// A file of a report could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the picture cannot be drawn: {0}")]
    Chart(chart::ChartError),
    #[error("the histograms cannot be written: {0}")]
    Histogram(#[from] std::io::Error),
    #[error("the log of histograms cannot be written: {0}")]
    Hlog(String),
    #[cfg(feature = "parquet")]
    #[error("the table cannot be written as Parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    #[error(transparent)]
    Page(html::PageError),
}

/// A file of a report could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error("{0}")]
    Write(std::io::Error),
    #[error("{}", .0.join("; "))]
    Some(Vec<String>),
}

/// Writes every file into `folder`. Each appears whole or not at all, whatever becomes of the others.
///
/// # Errors
/// Names all that could not be written.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<(), ExportError> {
    let of_users = if report.has_users() { OF_USERS } else { &[] };
    let has_workers = report.levels.iter().any(|level| !level.load.workers.is_empty());
    let of_workers = if has_workers { OF_WORKERS } else { &[] };
    let files: Vec<_> = FILES.iter().chain(of_users).chain(of_workers).collect();
    let next = AtomicUsize::new(0);
    let take_turns = || {
        let mut failed = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((name, render)) = files.get(index) else { return failed };
            let written = render(report).map_err(ExportError::from).and_then(|bytes| put(folder, name, &bytes));
            failed.extend(written.err().map(|error| (index, format!("{name}: {error}"))));
        }
    };
    // Pictures take most of the time, and none needs another.
    let mut failed = std::thread::scope(|scope| {
        let others = scope.spawn(take_turns);
        let mine = take_turns();
        let others = others.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        [mine, others].concat()
    });
    failed.sort();
    let mut failed: Vec<String> = failed.into_iter().map(|(_, told)| told).collect();
    let levels = write_levels(report, &folder.join(LEVELS));
    failed.extend(levels.err().map(|error| format!("{LEVELS}: {error}")));
    if failed.is_empty() { Ok(()) } else { Err(ExportError::Some(failed)) }
}

fn write_levels(report: &Report, folder: &Path) -> Result<(), ExportError> {
    for (name, bytes) in hgrm::levels(report)? {
        std::fs::create_dir_all(folder).map_err(ExportError::Write)?;
        put(folder, &name, &bytes)?;
    }
    Ok(())
}

/// Writes the files of a comparison into `folder`, in the same way.
pub(crate) fn write_comparison(comparison: &Comparison, title: &str, folder: &Path) -> Result<(), ExportError> {
    let png = chart::compare::png(comparison, title).map_err(RenderError::Chart)?;
    let svg = chart::compare::svg(comparison, title).map_err(RenderError::Chart)?;
    put(folder, "compare.tsv", comparison::tsv(comparison).as_bytes())?;
    put(folder, "compare.md", comparison::markdown(comparison).as_bytes())?;
    put(folder, "compare.json", &json::render(comparison).map_err(RenderError::Json)?)?;
    put(folder, "compare.svg", svg.as_bytes())?;
    put(folder, "compare.png", &png)
}

/// Writes the files of a plan's combinations into `folder`, in the same way.
pub(crate) fn write_varied(varied: &Varied, folder: &Path) -> Result<(), ExportError> {
    put(folder, "vary.tsv", vary::tsv(varied).as_bytes())?;
    put(folder, "vary.md", vary::markdown(varied).as_bytes())?;
    put(folder, "vary.json", &json::render(varied).map_err(RenderError::Json)?)?;
    if let Some(svg) = chart::vary::svg(varied).map_err(RenderError::Chart)? {
        put(folder, "vary.svg", svg.as_bytes())?;
    }
    match chart::vary::png(varied).map_err(RenderError::Chart)? {
        Some(png) => put(folder, "vary.png", &png),
        None => Ok(()),
    }
}

/// Writes a file beside its place and then moves it there, so that nobody reads half of it.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
    let partial = folder.join(format!(".{name}.partial"));
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, folder.join(name)));
    if written.is_err() {
        // It would take space on a disk that may be full.
        let _ = std::fs::remove_file(&partial);
    }
    written.map_err(ExportError::Write)
}

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn decimal(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NOT_AVAILABLE.to_owned(), |value| format!("{value:.digits$}"))
}
