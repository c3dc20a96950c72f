//! `report.html`: the whole report as one page that needs nothing else, for the eye, the printer and the archive.
//!
//! The modules work out what to show, each for one part of the page; the templates only lay it out, and escape every text.

mod books;
mod detail;
mod embed;
mod figure;
mod header;
mod levels;
mod little;
mod name;
mod provenance;
mod scaling;
mod table;
#[cfg(test)]
mod tests;
mod threshold;
mod usage;
mod users;
mod verdict;
mod workers;

use crate::chart::{self, Drawing};
use analysis::Report;
use askama::Template;
use detail::Detail;
use embed::Data;
use header::Fact;
use scaling::Scaling;
use table::Table;
use users::Users;
use verdict::Verdict;

/// A page could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    /// The data do not fit into JSON.
    #[error("the report cannot be embedded as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A picture failed.
    #[error("a picture of the page cannot be drawn: {0}")]
    Chart(#[from] chart::ChartError),
    /// The template failed.
    #[error("the page cannot be laid out: {0}")]
    Template(#[from] askama::Error),
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    sweep: &'a str,
    version: &'static str,
    facts: Vec<Fact>,
    verdict: Verdict,
    thresholds: Option<Table>,
    levels: Table,
    drawings: Vec<Drawing>,
    /// Which of them have colours that run from light to dark.
    ramps: [&'static str; 2],
    users: Option<Users>,
    details: Vec<Detail>,
    books: Table,
    traces: Table,
    little: Option<Table>,
    workers: Option<Table>,
    usage: Option<Table>,
    scaling: Scaling,
    stamping: Option<Table>,
    command: Option<String>,
    settings: Vec<Fact>,
    environment: Vec<Fact>,
    limit_ms: String,
    data: Option<Data>,
}

/// The page's bytes.
pub(crate) fn render(report: &Report) -> Result<Vec<u8>, PageError> {
    let page = Page {
        sweep: &report.sweep,
        version: env!("CARGO_PKG_VERSION"),
        facts: header::facts(report),
        verdict: Verdict::of(report),
        thresholds: threshold::table(&report.thresholds),
        levels: levels::table(report),
        drawings: chart::svgs(report)?,
        ramps: ["percentiles", "heatmap"],
        users: Users::of(report),
        details: detail::all(report),
        books: books::table(report),
        traces: books::traces(report),
        little: little::table(report),
        workers: workers::table(report),
        usage: usage::overview(report),
        scaling: Scaling::of(report),
        stamping: provenance::stamping(report),
        command: provenance::command(report),
        settings: provenance::settings(report),
        environment: provenance::environment(report),
        limit_ms: figure::ms(report.p99_limit_us as f64),
        data: embed::data(report)?,
    };
    let mut html = page.render()?;
    html.push('\n');
    Ok(html.into_bytes())
}
