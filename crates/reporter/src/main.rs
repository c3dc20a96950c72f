//! `reporter`: makes reports from the log store.

use clap::{Parser, Subcommand};
use reporter::{ReportArgs, report};

#[derive(Debug, Parser)]
#[command(version, about = "Makes reports from the stamps in the log store")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the report of a sweep, or of a single run, from the log store
    Report(ReportArgs),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { command: Command::Report(args) } = Arguments::parse();
    let (_, folder) = report(&args).await?;
    print_folder(&folder);
    Ok(())
}

#[allow(clippy::print_stdout)]
fn print_folder(folder: &std::path::Path) {
    println!("{}", folder.display());
}
