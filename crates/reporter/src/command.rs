//! `reporter report`: makes a report again from the log store.

use crate::{Output, Report, Sweep, measure};
use anyhow::Context;
use clap::Args;
use stamp::{LogStore, RedisUrl};
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

    /// The folder for reports
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub out: PathBuf,
}

/// Makes the report and returns it with the folder that it was written to.
///
/// # Errors
/// When the log store is away or does not know the sweep, or the folder cannot be written.
pub async fn report(args: &ReportArgs) -> anyhow::Result<(Report, PathBuf)> {
    let log = LogStore::connect(&args.redis).await?;
    let sweep = Sweep::find(&log, &args.sweep).await?;
    let output = Output::open(&args.out, &sweep.id)?;
    let mut report = Report::new(&sweep);
    for load in &sweep.loads {
        let level = measure(&log, load, &sweep.path).await;
        report.levels.push(level.with_context(|| format!("cannot read the stamps of run {}", load.run))?);
    }
    output.write(&report)?;
    Ok((report, output.folder().to_owned()))
}
