//! A file that a result goes into once there is one.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A file that can be written. Until that is done, what is there stays there; then it is there whole.
#[derive(Debug)]
pub struct Destination {
    path: PathBuf,
}

impl Destination {
    /// Finds out whether the file can be written, and changes nothing.
    ///
    /// # Errors
    /// When it cannot.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path.exists() {
            OpenOptions::new().append(true).open(path)?;
        } else {
            OpenOptions::new().write(true).create_new(true).open(path)?;
            fs::remove_file(path)?;
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written any more.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match (fs::metadata(&self.path), self.path.parent(), self.path.file_name()) {
            // A device or a pipe is written to, and not replaced.
            (Ok(there), ..) if !there.is_file() => fs::write(&self.path, bytes),
            (_, Some(folder), Some(name)) => {
                // A link stays one.
                let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
                let mut partial = std::ffi::OsString::from(".");
                partial.push(name);
                partial.push(format!(".{}.partial", std::process::id()));
                let partial = target.parent().unwrap_or(folder).join(partial);
                // Where the folder takes no new file, the old one may still take the bytes.
                if fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, &target)).is_ok() {
                    return Ok(());
                }
                let _ = fs::remove_file(&partial);
                fs::write(&self.path, bytes)
            }
            _ => fs::write(&self.path, bytes),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_file_stays_until_there_is_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        fs::write(&old, b"older and longer").unwrap();
        let (opened, fresh) = (Destination::open(&old).unwrap(), Destination::open(&new).unwrap());
        assert_eq!((fs::read(&old).unwrap(), new.exists()), (b"older and longer".to_vec(), false));
        opened.write(b"newer").unwrap();
        fresh.write(b"first").unwrap();
        assert_eq!((fs::read(&old).unwrap(), fs::read(&new).unwrap()), (b"newer".to_vec(), b"first".to_vec()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn what_cannot_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Destination::open(folder.path()).is_err());
        assert!(Destination::open(&folder.path().join("missing/file")).is_err());
        let full = Path::new("/dev/full");
        if full.exists() {
            assert!(Destination::open(full).unwrap().write(b"x").is_err());
        }
        if Path::new("/dev/null").exists() {
            Destination::open(Path::new("/dev/null")).unwrap().write(b"x").unwrap();
        }
    }
}
