//! Where reports go: `<out>/<sweep>/`, with `<out>/latest` pointing to the newest.

use crate::Report;
use crate::export::{self, ExportError};
use stamp::RunId;
use std::path::{Path, PathBuf};

/// A folder for one report, known to be writable.
#[derive(Debug)]
pub struct Output {
    folder: PathBuf,
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
        Ok(Self { folder })
    }

    /// Writes every file of the report, replacing those of an earlier call, and points `latest` to it.
    pub fn write(&self, report: &Report) -> Result<(), OutputError> {
        let failed = |reason: String| OutputError { path: self.folder.clone(), reason };
        export::write(report, &self.folder).map_err(|error: ExportError| failed(error.to_string()))?;
        point_latest(&self.folder).map_err(|error| failed(error.to_string()))
    }

    /// Removes the folder if nothing has been written to it.
    pub fn discard_empty(&self) {
        // Where something is in it, this fails, as it should.
        let _ = std::fs::remove_dir(&self.folder);
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Replaces the link in one step, so that `latest` always points somewhere.
fn point_latest(folder: &Path) -> std::io::Result<()> {
    let (Some(out), Some(sweep)) = (folder.parent(), folder.file_name()) else { return Ok(()) };
    let partial = out.join(format!(".latest-{}", std::process::id()));
    let _ = std::fs::remove_file(&partial);
    std::os::unix::fs::symlink(sweep, &partial)?;
    std::fs::rename(&partial, out.join("latest"))
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
