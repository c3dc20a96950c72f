//! Where stamps come from: the log store that they were written to, or a file that keeps them for longer.

pub(crate) mod raw;

pub use raw::{RawError, RawFile, RawHeader, RawRun, RawWriter};

use crate::{Sweep, SweepError};
use stamp::{Counts, LogStore, RedisUrl, RunId, Stage, StoreError};
use std::path::Path;

/// The stamps and counts of one or more runs.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub enum Stamps {
    /// In the log store that they were written to.
    LogStore(LogStore),
    /// In a file that was exported from one.
    File(RawFile),
}

/// Stamps cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StampsError {
    /// The log store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sweep cannot be found there.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// The file failed.
    #[error(transparent)]
    Raw(#[from] RawError),
    /// A file is meant, and there is none.
    #[error("there is no file {0}: is its path right?")]
    NoFile(String),
    /// One run cannot be read.
    #[error("cannot read the stamps of run {run}: {source}")]
    Run {
        /// The run.
        run: RunId,
        /// Why not.
        source: Box<StampsError>,
    },
}

/// What files of raw stamps are called: no run is.
const FILES: [&str; 2] = [".stamps", ".stamps.lz4"];

impl From<LogStore> for Stamps {
    fn from(log: LogStore) -> Self {
        Self::LogStore(log)
    }
}

impl Stamps {
    /// Opens what a name on the command line means: the file of raw stamps, where there is one of that name, or else the sweep, run or
    /// `latest` in the log store. Returns its description, too.
    ///
    /// # Errors
    /// When the log store is away or knows no such sweep, or the file is none of raw stamps.
    pub async fn open(name: &str, store: &RedisUrl) -> Result<(Self, Sweep), StampsError> {
        let path = Path::new(name);
        if path.is_file() {
            let file = RawFile::open(path)?;
            let sweep = file.header().sweep.clone();
            return Ok((Self::File(file), sweep));
        }
        if name.contains('/') || FILES.iter().any(|end| name.ends_with(end)) {
            return Err(StampsError::NoFile(name.to_owned()));
        }
        let log = LogStore::connect(store).await?;
        let sweep = Sweep::find(&log, name).await?;
        Ok((Self::LogStore(log), sweep))
    }

    /// The counters of a run; empty for a run that is unknown there.
    pub async fn counts(&mut self, run: &RunId) -> Result<Counts, StampsError> {
        match self {
            Self::LogStore(log) => Ok(log.counts(run).await?),
            Self::File(file) => Ok(file.counts(run)?.clone().into_iter().collect()),
        }
    }

    /// Hands every entry of these stages' lists to `take`, with the stage's index: one list after the other, oldest first; `read` is called behind each.
    /// A file is read fastest by whoever asks for runs and stages in the order in which they stand there, which is that of the sweep's loads and its path.
    pub async fn lists(
        &mut self,
        run: &RunId,
        stages: &[&Stage],
        mut take: impl FnMut(usize, &[u8]),
        mut read: impl FnMut(usize),
    ) -> Result<(), StampsError> {
        match self {
            Self::LogStore(log) => log.lists(run, stages, take, read).await?,
            Self::File(file) => {
                for (index, stage) in stages.iter().enumerate() {
                    file.entries(run, stage, |entry| take(index, entry))?;
                    read(index);
                }
            }
        }
        Ok(())
    }

    /// Reads what nobody asked for, so that a file which is cut off or damaged behind it is told.
    pub fn finish(&mut self) -> Result<(), StampsError> {
        match self {
            Self::LogStore(_) => Ok(()),
            Self::File(file) => Ok(file.finish()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_not_there_is_not_looked_for_in_the_log_store() {
        let nobody: RedisUrl = "redis://127.0.0.1:1".parse().unwrap();
        for name in ["no-such.stamps.lz4", "no-such.stamps", "/no/such"] {
            let error = Stamps::open(name, &nobody).await.unwrap_err();
            assert_eq!(error.to_string(), format!("there is no file {name}: is its path right?"));
        }
        assert!(matches!(Stamps::open("no-such", &nobody).await, Err(StampsError::Store(_))));
    }
}
