//! `reporter`: makes reports from the log store, and keeps what is in it.

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use reporter::{
    CompareArgs, ExportArgs, IDLE_IN_REPORTS, ImportArgs, Made, ParquetArgs, ReportArgs, THRESHOLD_MISSED, refuse_idle,
};
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(version, about = "Makes reports from the stamps in the log store")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
enum Command {
    /// Make the report of a sweep, or of a single run, from the log store or from a file of raw stamps
    Report(ReportArgs),
    /// Compare sweeps side by side: what differs, how sure that is, and a picture
    Compare(CompareArgs),
    /// Export the raw stamps of a sweep, or of a single run, to a file
    Export(ExportArgs),
    /// Load a file of raw stamps back into a log store
    Import(ImportArgs),
    /// Add the stamps of a sweep, or of a single run, to a dataset of Parquet that Spark and DuckDB read
    Parquet(ParquetArgs),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|error| {
        note(&format!("Error: {error:?}"));
        ExitCode::from(reporter::exit_code(&error))
    })
}

async fn run() -> anyhow::Result<ExitCode> {
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Some((_, matches)) = matches.subcommand() {
        refuse_idle(matches, IDLE_IN_REPORTS)?;
    }
    reporter::exit_on_signal()?;
    match arguments.command {
        Command::Report(args) => {
            let Made { report, folder, note: more } = reporter::report(&args).await?;
            if let Some(more) = more {
                note(&more);
            }
            if let Some(table) = report.thresholds_table() {
                note(&table);
            }
            print(&folder.display().to_string());
            if report.misses_a_threshold() {
                return Ok(ExitCode::from(THRESHOLD_MISSED));
            }
        }
        Command::Compare(args) => {
            let (table, folder) = reporter::compare(&args).await?;
            print(&table);
            note(&format!("comparison: {}", folder.display()));
        }
        Command::Export(args) => print(&reporter::export(&args).await?.display().to_string()),
        Command::Import(args) => print(reporter::import(&args).await?.as_str()),
        Command::Parquet(args) => print(&reporter::parquet(&args).await?.display().to_string()),
    }
    Ok(ExitCode::SUCCESS)
}

/// A reader that has gone away, such as `head`, is no error.
fn print(result: &str) {
    let _ = writeln!(std::io::stdout(), "{result}");
}

fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
