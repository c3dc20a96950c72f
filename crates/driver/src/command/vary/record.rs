//! `runs.jsonl`: what has been run of a plan's combinations, so that it can go on after an interruption. The first line says what is run, each further
//! line is a run.

use analysis::VariedRun;
use anyhow::Context;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use stamp::{UsageError, ensure_usage};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The version of the file.
pub(super) const VERSION: u32 = 2;

/// Its name.
pub(super) const FILE: &str = "runs.jsonl";

/// What is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) version: u32,
    /// The plan's text as it is kept, with what was set over it.
    pub(super) plan: String,
    pub(super) params: Vec<(String, Vec<String>)>,
    pub(super) repeat: u32,
    pub(super) seed: u64,
    /// What options say beside the plan, and what is meant where neither does: a run means something else with others.
    #[serde(default)]
    pub(super) settings: BTreeMap<String, String>,
}

impl Begun {
    /// In what another one differs, which is not the same.
    fn difference(&self, other: &Self) -> String {
        if other.version != self.version {
            return "by another version of this program".to_owned();
        }
        let mut told: Vec<String> = [
            (other.plan != self.plan, "another plan"),
            (other.params != self.params || other.repeat != self.repeat, "other values"),
        ]
        .into_iter()
        .filter(|(differs, _)| *differs)
        .map(|(_, what)| what.to_owned())
        .collect();
        let names: BTreeSet<&String> = self.settings.keys().chain(other.settings.keys()).collect();
        for name in names {
            let [was, is] = [other, self].map(|one| one.settings.get(name).map_or("nothing", String::as_str));
            if was != is {
                told.push(format!("{name} {was} instead of {is}"));
            }
        }
        format!("with {}", told.join(", "))
    }
}

/// The file, open for further runs, and locked: two that go on with one would make each run twice.
#[derive(Debug)]
pub(super) struct Record {
    file: File,
    path: PathBuf,
}

impl Record {
    /// Begins one in a new folder.
    /// Fails when it cannot be written: that is known before the first run.
    pub(super) fn begin(folder: &Path, begun: &Begun) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let unwritable = || format!("cannot write {}: choose another folder with --out", path.display());
        std::fs::create_dir_all(folder).with_context(unwritable)?;
        let file = OpenOptions::new().create_new(true).append(true).open(&path).with_context(unwritable)?;
        lock(&file);
        let mut record = Self { file, path };
        record.line(&serde_json::to_string(begun)?)?;
        Ok(record)
    }

    /// Adds a run that is finished.
    /// Fails when it cannot be written.
    pub(super) fn add(&mut self, run: &VariedRun) -> anyhow::Result<()> {
        self.line(&serde_json::to_string(run)?)
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        let written = self.file.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.file.sync_data());
        written.with_context(|| {
            format!(
                "cannot write {}: what has been run so far is kept; make room, and go on with --resume",
                self.path.display()
            )
        })
    }
}

/// Locks a file; false where another driver has done so. A file system without locks has nobody who waits for one.
fn lock(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
}

/// Finds the newest in `out` that is the same and not finished, and what it has run.
/// Fails with a [`UsageError`] where there is none, or another driver is at it.
pub(super) fn resume(out: &Path, begun: &Begun) -> anyhow::Result<(PathBuf, Record, Vec<VariedRun>)> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(out)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !path.is_symlink() && path.join(FILE).exists())
        .collect();
    // Their names begin with the time.
    folders.sort();
    let (mut others, mut unreadable) = (Vec::new(), Vec::new());
    for folder in folders.into_iter().rev() {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                unreadable.push(format!("; {} cannot be read: {error}", path.display()));
                continue;
            }
        };
        let mut lines = text.split_inclusive('\n');
        let first = lines.next().and_then(|line| serde_json::from_str::<Begun>(line).ok());
        let Some(first) = first else { continue };
        let counts = first.params.iter().map(|(_, values)| values.len());
        let planned = counts.fold(first.repeat as usize, usize::saturating_mul);
        // The last line may be torn: that run is made again, as is one that failed, which may be the disk's fault.
        let whole = lines.filter(|line| line.ends_with('\n'));
        let runs = whole.filter_map(|line| serde_json::from_str(line).ok());
        let runs: Vec<VariedRun> = runs.filter(|run: &VariedRun| run.failed.is_none()).collect();
        if runs.len() >= planned {
            continue;
        }
        if first != *begun {
            others.push(format!("{} was, but {}", folder.display(), begun.difference(&first)));
            continue;
        }
        let unwritable = || format!("cannot write {}", path.display());
        let file = OpenOptions::new().append(true).open(&path).with_context(unwritable)?;
        ensure_usage(lock(&file), || {
            format!("--resume: another driver is running what {} has: wait until it has ended", folder.display())
        })?;
        if file.metadata().with_context(unwritable)?.len() != text.len() as u64 {
            // Another one has written to it until now.
            drop(file);
            return resume(out, begun);
        }
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).with_context(unwritable)?;
        return Ok((folder, Record { file, path }, runs));
    }
    let near = match &others[..] {
        [] => format!("nothing in {} was interrupted or has failed", out.display()),
        others => others[0].clone(),
    };
    let unreadable = unreadable.concat();
    Err(UsageError(format!("--resume: there is nothing to go on with: {near}{unreadable}. Run it without --resume"))
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Begun {
        Begun {
            version: VERSION,
            plan: "stampede: 1\n".to_owned(),
            params: vec![("n".to_owned(), vec!["1".to_owned(), "2".to_owned()])],
            repeat: 1,
            seed: 1,
            settings: [("every".to_owned(), "100".to_owned()), ("p99_limit".to_owned(), "50ms".to_owned())].into(),
        }
    }

    fn run(number: usize) -> VariedRun {
        VariedRun {
            number,
            combination: vec![("n".to_owned(), number.to_string())],
            repeat: 1,
            figures: Vec::new(),
            report: String::new(),
            verdict: None,
            missed: false,
            failed: None,
        }
    }

    #[test]
    fn what_was_interrupted_goes_on_behind_its_last_whole_line() {
        let out = tempfile::tempdir().unwrap();
        let folder = out.path().join("20260101-000000-abc");
        let mut record = Record::begin(&folder, &begun()).unwrap();
        record.add(&run(1)).unwrap();
        record.file.write_all(b"{\"number\":2,\"comb").unwrap();
        let error = resume(out.path(), &begun()).unwrap_err().to_string();
        assert!(error.contains("another driver is running"), "{error}");
        drop(record);
        let (found, mut record, runs) = resume(out.path(), &begun()).unwrap();
        assert_eq!((found, runs), (folder, vec![run(1)]));
        record.add(&run(2)).unwrap();
        // All have been run.
        drop(record);
        let error = resume(out.path(), &begun()).unwrap_err().to_string();
        assert!(error.contains("there is nothing to go on with"), "{error}");
    }

    #[test]
    fn what_failed_is_made_again_whatever_lies_beside_it() {
        let out = tempfile::tempdir().unwrap();
        let mut record = Record::begin(&out.path().join("a"), &begun()).unwrap();
        record.add(&VariedRun { failed: Some("no space left".to_owned()), ..run(1) }).unwrap();
        record.add(&run(2)).unwrap();
        drop(record);
        for (folder, text) in [("x", &b"\xff\n"[..]), ("y", b"[]\n")] {
            std::fs::create_dir(out.path().join(folder)).unwrap();
            std::fs::write(out.path().join(folder).join(FILE), text).unwrap();
        }
        let huge = vec![("n".to_owned(), vec![String::new(); 5_000]); 4];
        Record::begin(&out.path().join("z"), &Begun { params: huge, repeat: u32::MAX, ..begun() }).unwrap();
        let (_, mut record, runs) = resume(out.path(), &begun()).unwrap();
        assert_eq!(runs, [run(2)]);
        record.add(&run(1)).unwrap();
        drop(record);
        let error = resume(out.path(), &begun()).unwrap_err().to_string();
        assert!(error.contains("other values") && error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn another_plan_is_not_gone_on_with() {
        let out = tempfile::tempdir().unwrap();
        Record::begin(&out.path().join("a"), &begun()).unwrap();
        let error = resume(out.path(), &Begun { repeat: 2, ..begun() }).unwrap_err().to_string();
        assert!(error.contains("a was, but with other values. Run it"), "{error}");
        let mut other = begun();
        other.settings.insert("every".to_owned(), "10".to_owned());
        let error = resume(out.path(), &other).unwrap_err().to_string();
        assert!(error.contains("a was, but with every 100 instead of 10. Run it"), "{error}");
    }
}
