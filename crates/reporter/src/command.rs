//! `reporter report`: makes a report again from the log store, or from a file of raw stamps.

use crate::progress::Progress;
use crate::{LogStoreArgs, Output, ThresholdArgs};
use analysis::{Report, Stamps, make_report};
use clap::Args;
use stamp::Path;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `reporter report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// The sweep's id, the id of a single run, or `latest`; or a file that `export` wrote
    #[arg(default_value = "latest")]
    pub sweep: String,

    /// Where the log store is.
    #[command(flatten)]
    pub store: LogStoreArgs,

    /// The stages of a run that no sweep describes, in order, separated by commas; or a file that holds them
    #[arg(long, value_name = "STAGES", value_parser = parse_path)]
    pub path: Option<Path>,

    /// A level is carried when its p99 of arrival latency is at most this [default: as the sweep had it, or 50ms]
    #[arg(long, value_name = "TIME", value_parser = stamp::parse_duration)]
    pub p99_limit: Option<Duration>,

    /// The folder for reports
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub out: PathBuf,

    /// What must hold.
    #[command(flatten)]
    pub thresholds: ThresholdArgs,
}

/// Reads the stages of a path from the command line, or from the file that it names.
///
/// # Errors
/// A text that says what is wrong.
pub fn parse_path(text: &str) -> Result<Path, String> {
    let is_file = !text.contains(',') && std::path::Path::new(text).is_file();
    let stages =
        if is_file { std::fs::read_to_string(text).map_err(|error| error.to_string())? } else { text.to_owned() };
    stages.parse().map_err(|error: stamp::InvalidPath| error.to_string())
}

/// A report that has been made.
#[derive(Debug)]
pub struct Made {
    /// The report.
    pub report: Report,
    /// Where its files are.
    pub folder: PathBuf,
    /// What else is to be told.
    pub note: Option<String>,
}

/// Makes the report and writes it.
///
/// # Errors
/// When the log store is away or does not know the sweep, the file is cut off or damaged, or the folder cannot be written.
pub async fn report(args: &ReportArgs) -> anyhow::Result<Made> {
    let (mut stamps, mut sweep) = Stamps::open(&args.sweep, &args.store.url()).await?;
    if let Some(path) = &args.path {
        sweep.path = path.stages().to_vec();
    }
    if let Some(limit) = args.p99_limit {
        sweep.p99_limit_us = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
    }
    args.thresholds.check(&args.thresholds.thresholds)?;
    let judge = args.thresholds.open(&sweep.path)?;
    let output = Output::open(&args.out, &sweep.id)?;
    let progress = Progress::lists("measuring", (sweep.loads.len() * sweep.path.len()) as u64);
    let mut report = make_report(&mut stamps, &sweep, &|| progress.step()).await?;
    drop(progress);
    judge.judge(&mut report);
    // The verdicts are worth having where the report cannot be written.
    let written = output.write(&report);
    judge.save(&report)?;
    written?;
    Ok(Made { report, folder: output.folder().to_owned(), note: output.note() })
}
