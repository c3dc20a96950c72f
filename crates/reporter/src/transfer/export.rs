//! `reporter export`: keeps the raw stamps of a sweep in a file.

use crate::LogStoreArgs;
use crate::progress::Progress;
use analysis::{RawHeader, RawRun, RawWriter, Sweep};
use anyhow::Context;
use clap::Args;
use stamp::{LogStore, RunId, Stage, keys};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Arguments of `reporter export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The sweep's id, the id of a single run, or `latest`
    #[arg(default_value = "latest")]
    pub sweep: String,

    /// The file [default: SWEEP.stamps.lz4]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Where the log store is.
    #[command(flatten)]
    pub store: LogStoreArgs,
}

/// Writes everything that the log store holds of a sweep into a file, and returns where that is. The file appears whole or not at all.
///
/// # Errors
/// When the log store is away or does not know the sweep, or the file cannot be written.
pub async fn export(args: &ExportArgs) -> anyhow::Result<PathBuf> {
    let log = args.store.connect().await?;
    let sweep = Sweep::find(&log, &args.sweep).await?;
    let path = args.output.clone().unwrap_or_else(|| format!("{}.stamps.lz4", sweep.id).into());
    let partial = partial(&path);
    let failed = || format!("cannot write {}: choose another file with --output", path.display());
    // Opened before the long work, so that a path which cannot be used fails at once.
    let file = File::create(&partial).with_context(failed)?;
    let written = write(&log, sweep, BufWriter::new(file)).await;
    match written.and_then(|()| std::fs::rename(&partial, &path).with_context(failed)) {
        Ok(()) => Ok(path),
        Err(error) => {
            // The first error is the one to tell.
            let _ = std::fs::remove_file(&partial);
            Err(error)
        }
    }
}

async fn write(log: &LogStore, sweep: Sweep, out: BufWriter<File>) -> anyhow::Result<()> {
    let runs = contents(log, &sweep).await?;
    let mut total = 0;
    for (run, stage) in places(&runs) {
        total += log.length(&keys::stamps(run, stage)).await?;
    }
    let progress = Progress::stamps("exporting", total);
    let failed = "cannot write the file: is there room for it?";
    let header = RawHeader::new(sweep, log.clock_steps(0).await?, runs.clone());
    let mut writer = RawWriter::new(out, &header).context(failed)?;
    for RawRun { run, stages } in &runs {
        writer.counts(run, &log.count_fields(run).await?).context(failed)?;
        for stage in stages {
            let mut written = Ok(());
            let take = |entry: &[u8]| {
                progress.step();
                if written.is_ok() {
                    written = writer.entry(run, stage, entry);
                }
            };
            log.entries(run, stage, take).await?;
            written.and_then(|()| writer.end_stage(run, stage)).context(failed)?;
        }
    }
    let mut out = writer.finish().context(failed)?;
    out.flush().and_then(|()| out.get_ref().sync_all()).context(failed)
}

/// The runs of a sweep with their stages: those of its path first, in their order, and then whatever else was stamped.
async fn contents(log: &LogStore, sweep: &Sweep) -> anyhow::Result<Vec<RawRun>> {
    let runs: Vec<RunId> = sweep.loads.iter().map(|load| load.run.clone()).collect();
    let mut found = log.stages(&runs).await?;
    let with_stages = |run: RunId| {
        let others = found.remove(&run).unwrap_or_default().into_iter().filter(|stage| !sweep.path.contains(stage));
        RawRun { run, stages: sweep.path.iter().cloned().chain(others).collect() }
    };
    Ok(runs.into_iter().map(with_stages).collect())
}

fn places(runs: &[RawRun]) -> impl Iterator<Item = (&RunId, &Stage)> {
    runs.iter().flat_map(|run| run.stages.iter().map(|stage| (&run.run, stage)))
}

/// Beside the file, hidden.
fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}
