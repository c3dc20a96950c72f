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
    /// Makes the folder, writes to it, and points `latest` to it: a path that cannot be used fails here, before the load
    /// and not after it.
    pub fn open(out: &Path, sweep: &RunId) -> Result<Self, OutputError> {
        let folder = out.join(sweep.as_str());
        let failed = |error: std::io::Error| OutputError { path: folder.clone(), reason: error.to_string() };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let probe = folder.join(".writable");
        std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).map_err(failed)?;
        point_latest(out, sweep).map_err(failed)?;
        Ok(Self { folder })
    }

    /// Writes every file of the report; those of an earlier call are replaced.
    pub fn write(&self, report: &Report) -> Result<(), OutputError> {
        export::write(report, &self.folder)
            .map_err(|error: ExportError| OutputError { path: self.folder.clone(), reason: error.to_string() })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Replaces the link in one step, so that `latest` always points somewhere.
fn point_latest(out: &Path, sweep: &RunId) -> std::io::Result<()> {
    let partial = out.join(format!(".latest-{}", std::process::id()));
    let _ = std::fs::remove_file(&partial);
    std::os::unix::fs::symlink(sweep.as_str(), &partial)?;
    std::fs::rename(&partial, out.join("latest"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for sweep in ["a", "b"] {
            Output::open(folder.path(), &sweep.parse().unwrap()).unwrap();
        }
        assert_eq!(std::fs::read_link(folder.path().join("latest")).unwrap(), Path::new("b"));
    }
}
