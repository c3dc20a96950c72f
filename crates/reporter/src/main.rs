//! `reporter`: makes reports from the log store, and keeps what is in it.

use clap::{Parser, Subcommand};
use reporter::{CompareArgs, ExportArgs, ImportArgs, ReportArgs, THRESHOLD_MISSED};
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
    /// Make the report of a sweep, or of a single run, from the log store or a file of raw stamps
    Report(ReportArgs),
    /// Set sweeps side by side: what differs between them, how sure that is, and a picture
    Compare(CompareArgs),
    /// Keep the raw stamps of a sweep, or of a single run, in a file
    Export(ExportArgs),
    /// Put the raw stamps of a file back into a log store
    Import(ImportArgs),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Report(args) => {
            let (report, folder) = reporter::report(&args).await?;
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
    }
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stdout)]
fn print(result: &str) {
    println!("{result}");
}

#[allow(clippy::print_stderr)]
fn note(text: &str) {
    eprintln!("{text}");
}
