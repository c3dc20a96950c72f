//! Where reports go: `<out>/<sweep>/`, with `<out>/latest` pointing to the newest.

use crate::export::{self, ExportError};
use analysis::Report;
use stamp::RunId;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A folder for one report, known to be writable.
#[derive(Debug)]
pub struct Output {
    folder: PathBuf,
    /// Why `latest` could not be set, where it could not.
    unlinked: OnceLock<String>,
}

/// A report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report to {path}: {reason}; choose another folder with --out")]
pub struct OutputError {
    path: PathBuf,
    reason: String,
}

impl Output {
    /// Makes the folder and writes to it: a path that cannot be used fails here, before the load and not after it.
    pub fn open(out: &Path, sweep: &RunId) -> Result<Self, OutputError> {
        let folder = out.join(sweep.as_str());
        let failed = |error: std::io::Error| OutputError { path: folder.clone(), reason: error.to_string() };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let probe = folder.join(".writable");
        std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).map_err(failed)?;
        Ok(Self { folder, unlinked: OnceLock::new() })
    }

    /// Writes every file of the report, replacing those of an earlier call, and points `latest` to it. A link that cannot be set is no error, but
    /// [told](Self::note).
    ///
    /// # Errors
    /// Names every file that cannot be written; the others have been.
    pub fn write(&self, report: &Report) -> Result<(), OutputError> {
        let written = export::write(report, &self.folder);
        if let Err(error) = point_latest(&self.folder) {
            let _ = self.unlinked.set(error.to_string());
        }
        written.map_err(|error: ExportError| OutputError { path: self.folder.clone(), reason: error.to_string() })
    }

    /// What else is to be told of the report that was written: that `latest` does not point to it, and why.
    pub fn note(&self) -> Option<String> {
        let why = self.unlinked.get()?;
        let latest = self.folder.parent()?.join("latest");
        Some(format!("{} does not point to this report: {why}; move away what is there", latest.display()))
    }

    /// Removes the folder if nothing has been written to it.
    pub fn discard_empty(&self) {
        // Where something is in it, this fails, as it should.
        let _ = std::fs::remove_dir(&self.folder);
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Replaces the link in one step, so that `latest` always points somewhere.
pub(crate) fn point_latest(folder: &Path) -> std::io::Result<()> {
    let (Some(out), Some(sweep)) = (folder.parent(), folder.file_name()) else { return Ok(()) };
    let partial = out.join(format!(".latest-{}", std::process::id()));
    let _ = std::fs::remove_file(&partial);
    std::os::unix::fs::symlink(sweep, &partial)?;
    let renamed = std::fs::rename(&partial, out.join("latest"));
    if renamed.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::tests::report_of;

    #[test]
    fn a_path_that_cannot_be_used_fails_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = Output::open(&file, &"s".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("choose another folder with --out"), "{error}");
    }

    #[test]
    fn a_latest_that_cannot_be_set_is_told_and_no_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("latest/x")).unwrap();
        let output = Output::open(folder.path(), &"a".parse().unwrap()).unwrap();
        output.write(&report_of(&[1])).unwrap();
        output.write(&report_of(&[1, 2])).unwrap();
        let note = output.note().unwrap();
        assert!(note.contains("latest does not point to this report"), "{note}");
        assert!(output.folder().join("report.tsv").exists());
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn one_file_that_cannot_be_written_keeps_none_of_the_others_away() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::open(folder.path(), &"a".parse().unwrap()).unwrap();
        std::fs::create_dir_all(output.folder().join("report.tsv/x")).unwrap();
        let error = output.write(&report_of(&[1])).unwrap_err().to_string();
        assert!(error.contains("report.tsv") && !error.contains("report.json"), "{error}");
        for file in ["report.json", "report.html", "heatmap.svg", "levels/c01.hgrm"] {
            assert!(output.folder().join(file).metadata().unwrap().len() > 0, "{file}");
        }
        assert_eq!(std::fs::read_link(folder.path().join("latest")).unwrap(), Path::new("a"));
        assert!(!output.folder().join(".report.tsv.partial").exists());
    }

    #[test]
    fn latest_points_to_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let latest = folder.path().join("latest");
        for sweep in ["a", "b"] {
            Output::open(folder.path(), &sweep.parse().unwrap()).unwrap().write(&report_of(&[1])).unwrap();
            assert_eq!(std::fs::read_link(&latest).unwrap(), Path::new(sweep));
        }
        let unused = Output::open(folder.path(), &"c".parse().unwrap()).unwrap();
        unused.discard_empty();
        assert!(!unused.folder().exists());
        assert_eq!(std::fs::read_link(&latest).unwrap(), Path::new("b"));
    }
}
