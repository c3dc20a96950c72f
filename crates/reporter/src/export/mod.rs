//! The files of a report.

mod json;
mod tsv;

use crate::Report;
use crate::chart;
use std::path::Path;

/// Renders a report as one file's bytes.
type Render = fn(&Report) -> Result<Vec<u8>, RenderError>;

/// Every file of a report and what makes it.
const FILES: [(&str, Render); 4] = [
    ("report.tsv", |report| Ok(tsv::render(report).into_bytes())),
    ("report.json", json::render),
    ("arrival.png", |report| chart::arrival::render(report).map_err(RenderError::Chart)),
    ("hops.png", |report| chart::hops::render(report).map_err(RenderError::Chart)),
];

/// A file of a report could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the picture cannot be drawn: {0}")]
    Chart(chart::ChartError),
}

/// A file of a report could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error("{0}")]
    Write(std::io::Error),
}

/// Writes every file into `folder`. Each appears whole or not at all: it is written beside its place and then moved.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<(), ExportError> {
    for (name, render) in FILES {
        let bytes = render(report)?;
        let partial = folder.join(format!(".{name}.partial"));
        std::fs::write(&partial, bytes)
            .and_then(|()| std::fs::rename(&partial, folder.join(name)))
            .map_err(ExportError::Write)?;
    }
    Ok(())
}
