//! Where the files of a dataset are: `<table>/run=<run>/…`. They are made in a hidden folder beside the tables, and moved into their places when all
//! are whole.

use analysis::Sweep;
use parquet::errors::ParquetError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use stamp::{RunId, Stage};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The tables. Whoever looks for runs begins with the levels, so that these come last and go first.
pub(super) const LEVELS: &str = "levels";
pub(super) const COUNTS: &str = "counts";
const STAMPS: &str = "stamps";
const TABLES: [&str; 3] = [STAMPS, COUNTS, LEVELS];

/// The only file of a partition: a run is written once.
const FILE: &str = "part-0.parquet";

/// What partitions are called whose key is null (Hive): whoever reads a dataset takes a run of that name for none.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A dataset that runs are added to.
pub(super) struct Place<'a> {
    out: &'a Path,
    partial: PathBuf,
    sweep: &'a Sweep,
    /// The hidden folder, locked: nobody else writes this sweep meanwhile.
    _lock: File,
}

/// A dataset cannot be added to.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    #[error("{} holds run {run} already: give --replace to put this one in its place, or choose another folder with --out", out.display())]
    Present { run: RunId, out: PathBuf },
    #[error("sweep {0} has no load that is finished: there is nothing to write")]
    Empty(RunId),
    #[error(
        "a run named {NULL} is no run to those who read a dataset: the name means that there is none; load under another one (`export` keeps these stamps)"
    )]
    Null,
    #[error("another process is writing sweep {sweep} to {}: wait until it has ended", out.display())]
    Busy { sweep: RunId, out: PathBuf },
    #[error("cannot write {}: {source}; choose another folder with --out, or make room there", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Parquet(ParquetError),
}

/// Why a file of the dataset could not be written. The writer of Parquet wraps what the system says.
pub(super) fn fault(out: &Path) -> impl Fn(ParquetError) -> PlaceError {
    |error| match error {
        ParquetError::External(source) => match source.downcast() {
            Ok(source) => PlaceError::Write { path: out.to_owned(), source: *source },
            Err(source) => PlaceError::Parquet(ParquetError::External(source)),
        },
        error => PlaceError::Parquet(error),
    }
}

fn unwritten(path: &Path) -> impl FnOnce(io::Error) -> PlaceError {
    let path = path.to_owned();
    |source| PlaceError::Write { path, source }
}

impl<'a> Place<'a> {
    /// Makes the folder, and sees whether the sweep may come there.
    pub(super) fn open(out: &'a Path, sweep: &'a Sweep, replace: bool) -> Result<Self, PlaceError> {
        if sweep.loads.is_empty() {
            return Err(PlaceError::Empty(sweep.id.clone()));
        }
        if sweep.loads.iter().any(|load| load.run.as_str() == NULL) {
            return Err(PlaceError::Null);
        }
        let partial = out.join(format!(".{}.partial", sweep.id));
        let locked = locked(&partial).map_err(unwritten(&partial))?;
        let lock = locked.ok_or_else(|| PlaceError::Busy { sweep: sweep.id.clone(), out: out.to_owned() })?;
        let place = Self { out, partial, sweep, _lock: lock };
        let mut runs = sweep.loads.iter().map(|load| &load.run);
        if let Some(run) = runs.find(|run| !replace && out.join(LEVELS).join(of_run(run)).exists()) {
            return Err(PlaceError::Present { run: run.clone(), out: out.to_owned() });
        }
        // Whoever was killed has left his there.
        empty(&place.partial).map_err(unwritten(&place.partial))?;
        Ok(place)
    }

    /// A new file for the stamps of one stage.
    pub(super) fn stamps(&self, run: &RunId, stage: &Stage) -> Result<File, PlaceError> {
        create(&self.partial.join(STAMPS).join(of_run(run)).join(format!("stage={stage}")))
    }

    /// A new file for what another table has of a run.
    pub(super) fn table(&self, run: &RunId, table: &str) -> Result<File, PlaceError> {
        create(&self.partial.join(table).join(of_run(run)))
    }

    /// Moves all into their places, and what was there out of the way.
    pub(super) fn publish(self) -> Result<(), PlaceError> {
        for load in &self.sweep.loads {
            let run = of_run(&load.run);
            for table in TABLES.into_iter().rev() {
                let (now, before) = (self.out.join(table).join(&run), self.partial.join("replaced").join(table));
                fs::create_dir_all(&before).map_err(unwritten(&before))?;
                absent_is_fine(fs::rename(&now, before.join(&run))).map_err(unwritten(&now))?;
            }
            for table in TABLES {
                let (new, now) = (self.partial.join(table).join(&run), self.out.join(table).join(&run));
                fs::create_dir_all(self.out.join(table))
                    .and_then(|()| fs::rename(new, &now))
                    .map_err(unwritten(&now))?;
            }
        }
        Ok(())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // What is left of it is removed by the next one.
        let _ = fs::remove_dir_all(&self.partial);
    }
}

/// Makes a folder and locks it; nothing where another process has it. Where folders cannot be locked, as on some networks, it goes on without.
fn locked(folder: &Path) -> io::Result<Option<File>> {
    loop {
        fs::create_dir_all(folder)?;
        let file = File::open(folder)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Ok(None);
        }
        // Who had it may have removed it in between: then this is the lock of a folder that is gone.
        if fs::metadata(folder).is_ok_and(|now| file.metadata().is_ok_and(|locked| locked.ino() == now.ino())) {
            return Ok(Some(file));
        }
    }
}

/// Removes all that is in a folder, and keeps the folder, which is locked.
fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        fs::remove_dir_all(entry?.path())?;
    }
    Ok(())
}

fn create(folder: &Path) -> Result<File, PlaceError> {
    let file = folder.join(FILE);
    fs::create_dir_all(folder).and_then(|()| File::create(&file)).map_err(unwritten(&file))
}

fn of_run(run: &RunId) -> String {
    format!("run={run}")
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tables;
    use stamp::Counts;

    #[test]
    fn a_full_disk_is_told_with_what_to_do() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let error =
            tables::counts(full, &[Stage::SEND], &Counts::default()).map_err(fault(Path::new("months"))).unwrap_err();
        insta::assert_snapshot!(error, @"cannot write months: No space left on device (os error 28); choose another folder with --out, or make room there");
    }
}
