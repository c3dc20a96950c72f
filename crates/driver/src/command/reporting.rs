//! The subcommands that are the reporter's own: what they find goes to the terminal.

use super::otlp_args::OtlpArgs;
use crate::output;
use analysis::{Report, Stamps};
use clap::{Args, Subcommand};
use otlp::Services;
use reporter::{CompareArgs, ExportArgs, ImportArgs, Made, ParquetArgs, ReportArgs};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub(crate) enum Reporting {
    /// Make the report of a sweep, or of a single run, from the log store or from a file of raw stamps
    Report(TracedReportArgs),
    /// Compare sweeps side by side: what differs, how sure that is, and a picture
    Compare(CompareArgs),
    /// Export the raw stamps of a sweep, or of a single run, to a file
    Export(ExportArgs),
    /// Load a file of raw stamps back into a log store
    Import(ImportArgs),
    /// Add the stamps of a sweep, or of a single run, to a dataset of Parquet that Spark and DuckDB read
    Parquet(ParquetArgs),
}

/// What `driver report` knows beside `reporter report`.
#[derive(Debug, Args)]
pub(crate) struct TracedReportArgs {
    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    otlp: OtlpArgs,
}

impl Reporting {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        reporter::exit_on_signal()?;
        match self {
            Reporting::Report(args) => return report(args).await,
            Reporting::Compare(args) => {
                let (table, folder) = reporter::compare(&args).await?;
                output::result(&table);
                output::note(&format!("comparison: {}", folder.display()));
            }
            Reporting::Export(args) => output::result(&reporter::export(&args).await?.display().to_string()),
            Reporting::Import(args) => output::result(reporter::import(&args).await?.as_str()),
            Reporting::Parquet(args) => output::result(&reporter::parquet(&args).await?.display().to_string()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn report(args: TracedReportArgs) -> anyhow::Result<ExitCode> {
    let Made { report, folder, note } = reporter::report(&args.report).await?;
    if let Some(table) = report.thresholds_table() {
        output::note(&table);
    }
    if let Some(note) = note {
        output::note(&note);
    }
    output::result(&folder.display().to_string());
    send_traces(&args, &report).await?;
    Ok(super::reported(&report))
}

/// Sends the report's messages as traces, where that is asked for.
async fn send_traces(args: &TracedReportArgs, report: &Report) -> anyhow::Result<()> {
    let queue = report.settings.get("queue").map(String::as_str);
    let Some(mut exporter) = args.otlp.exporter(queue)? else { return Ok(()) };
    let (mut stamps, _) = Stamps::open(&args.report.sweep, &args.report.store.url()).await?;
    // Services that have ended since have left no word.
    let beats = match &stamps {
        Stamps::LogStore(log) => log.services().await?,
        Stamps::File(_) => Vec::new(),
    };
    let services = Services::of(&beats);
    for level in &report.levels {
        exporter.level(&mut stamps, level, &report.path, &services).await?;
    }
    output::note(&exporter.sent().to_string());
    Ok(())
}
