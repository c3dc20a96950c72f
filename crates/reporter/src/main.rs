//! `reporter`: makes reports from the log store.

use clap::{Parser, Subcommand};
use reporter::{CompareArgs, ReportArgs, THRESHOLD_MISSED, compare, report};
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
    /// Make the report of a sweep, or of a single run, from the log store
    Report(ReportArgs),
    /// Set reports side by side: a table, what differs between their settings, and a picture
    Compare(CompareArgs),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Report(args) => {
            let (report, folder) = report(&args).await?;
            if let Some(table) = report.thresholds_table() {
                note(&table);
            }
            print(&folder.display().to_string());
            if report.misses_a_threshold() {
                return Ok(ExitCode::from(THRESHOLD_MISSED));
            }
        }
        Command::Compare(args) => {
            let (table, folder) = compare(&args)?;
            print(&table);
            note(&format!("comparison: {}", folder.display()));
        }
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
