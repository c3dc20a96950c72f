//! `reporter report`: makes a report again from the log store.

use crate::{Output, Report, StampQuality, Sweep, ThresholdArgs, measure};
use anyhow::Context;
use clap::Args;
use stamp::{LogStore, Path, RedisArgs, RedisUrl};
use std::path::PathBuf;

/// Arguments of `reporter report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// The sweep's id, the id of a single run, or `latest`
    #[arg(default_value = "latest")]
    pub sweep: String,

    /// The Redis server that holds the stamps
    #[arg(
        long,
        value_name = "URL",
        env = "STAMPEDE_LOG_STORE",
        default_value = "redis://127.0.0.1:6379",
        hide_env_values = true
    )]
    pub redis: RedisUrl,

    /// How to reach it.
    #[command(flatten)]
    pub redis_args: RedisArgs,

    /// The stages of a run that no sweep describes, in order, parted by commas; or a file that holds them
    #[arg(long, value_name = "STAGES", value_parser = parse_path)]
    pub path: Option<Path>,

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

/// Makes the report and returns it with the folder that it was written to.
///
/// # Errors
/// When the log store is away or does not know the sweep, or the folder cannot be written.
pub async fn report(args: &ReportArgs) -> anyhow::Result<(Report, PathBuf)> {
    let log = LogStore::connect(&args.redis_args.reach(&args.redis)).await?;
    let mut sweep = Sweep::find(&log, &args.sweep).await?;
    if let Some(path) = &args.path {
        sweep.path = path.stages().to_vec();
    }
    let output = Output::open(&args.out, &sweep.id)?;
    let judge = args.thresholds.open(&sweep.path)?;
    let mut report = Report::new(&sweep);
    let mut quality = StampQuality::new(&sweep.path);
    for load in &sweep.loads {
        let level = measure(&log, load, &sweep, &mut quality).await;
        report.add(level.with_context(|| format!("cannot read the stamps of run {}", load.run))?);
    }
    report.conclude(quality.summary());
    judge.judge(&mut report);
    output.write(&report)?;
    judge.save(&report)?;
    Ok((report, output.folder().to_owned()))
}
