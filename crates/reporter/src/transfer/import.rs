//! `reporter import`: puts the raw stamps of a file back into a log store.

use crate::LogStoreArgs;
use crate::progress::Progress;
use analysis::{RawFile, RawRun, SweepError};
use clap::Args;
use stamp::{RunId, keys};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `reporter import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The file that `export` wrote
    pub file: PathBuf,

    /// Replace what the log store holds of the same runs
    #[arg(long)]
    pub replace: bool,

    /// How long the log store is to keep it, hours
    #[arg(long, value_name = "HOURS", default_value_t = keys::DEFAULT_TTL_SECONDS / 3600, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub keep_hours: u64,

    /// Where the log store is.
    #[command(flatten)]
    pub store: LogStoreArgs,
}

/// Raw stamps cannot be put into a log store.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It has stamps or counters of such a run.
    #[error(
        "the log store at {store} holds run {run} already: give --replace to put the file's in its place, or use another Redis (--redis)"
    )]
    Present {
        /// The run.
        run: RunId,
        /// The log store.
        store: String,
    },
}

/// Puts a file's sweep into the log store and returns its id. A file that is cut off or damaged changes nothing there.
///
/// # Errors
/// When the file cannot be read, the log store is away, or it holds one of the runs already.
pub async fn import(args: &ImportArgs) -> anyhow::Result<RunId> {
    // To its end, before anything is written.
    RawFile::open(&args.file)?.finish()?;
    let mut file = RawFile::open(&args.file)?;
    let log = args.store.connect().await?;
    let header = file.header().clone();
    let runs: Vec<RunId> = header.runs.iter().map(|run| run.run.clone()).collect();
    let present = log.stages(&runs).await?;
    for run in &runs {
        let stages = present.get(run).cloned().unwrap_or_default();
        let is_there = !stages.is_empty() || !log.count_fields(run).await?.is_empty();
        if is_there && !args.replace {
            return Err(ImportError::Present { run: run.clone(), store: args.store.redis.to_string() }.into());
        }
        if is_there {
            log.forget(run, &stages).await?;
        }
    }
    let time_to_live = Duration::from_secs(args.keep_hours * 3600);
    let size = std::fs::metadata(&args.file).map_or(0, |metadata| metadata.len());
    let progress = Progress::bytes("importing", size);
    for RawRun { run, stages } in &header.runs {
        for stage in stages {
            while let Some(entries) = file.section_of(run, stage)? {
                log.append(run, stage, &entries, time_to_live).await?;
                progress.set(file.bytes_read());
            }
        }
        // Who finds a message in the counters finds its stamp in the list.
        log.put_counts(run, file.counts(run)?, time_to_live).await?;
    }
    // A single run that no sweep described is found by its counters.
    if !header.runs.iter().any(|run| run.run == header.sweep.id) {
        let id = header.sweep.id.clone();
        let document = serde_json::to_string(&header.sweep).map_err(|source| SweepError::Document { id, source })?;
        log.put(&keys::sweep(&header.sweep.id), &document, time_to_live).await?;
    }
    Ok(header.sweep.id)
}
