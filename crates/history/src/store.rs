//! The file: one row in a line, added to and never changed.

use crate::Row;
use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Its name, in the folder of reports.
pub const FILE: &str = "history.jsonl";

/// From one look at whether the file is free to the next, and how many there are: an append takes no longer than a write.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 250;

/// The history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It cannot be written.
    #[error("cannot add to the history {path}: {source}; this run is not in it", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("cannot read the history {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its page cannot be made or written.
    #[error("cannot write {path}: {why}", path = .path.display())]
    Page {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// What is in a history.
#[derive(Debug, Default)]
pub struct Past {
    /// The rows, in the order in which their runs began.
    pub rows: Vec<Row>,
    /// What could not be read of it, for people.
    pub notes: Vec<String>,
}

/// Adds a row to the history of a folder of reports: whole, or not at all.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn append(folder: &Path, row: &Row) -> Result<(), HistoryError> {
    let path = folder.join(FILE);
    let fault = |source| HistoryError::Write { path: path.clone(), source };
    let mut line = serde_json::to_vec(row).map_err(|error| fault(error.into()))?;
    line.push(b'\n');
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(fault)?;
    lock(&file).map_err(fault)?;
    // The lock ends with the file.
    add(&mut file, line).map_err(fault)
}

/// Waits until no other driver adds to it. Where files cannot be locked, as on some networks, it goes on without.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOOKS {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOOK),
            _ => return Ok(()),
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another process holds its lock"))
}

fn add(file: &mut File, mut line: Vec<u8>) -> io::Result<()> {
    let before = file.seek(SeekFrom::End(0))?;
    if before > 0 {
        let mut last = [0];
        file.seek(SeekFrom::Start(before - 1))?;
        file.read_exact(&mut last)?;
        // Somebody was killed in the middle of a line: it stays as it is.
        if last != *b"\n" {
            line.insert(0, b'\n');
        }
    }
    let written = file.write(&line);
    let why = match written {
        Ok(bytes) if bytes == line.len() => return Ok(()),
        Ok(_) => io::Error::new(io::ErrorKind::StorageFull, "only a part of the row could be written"),
        Err(error) => error,
    };
    // Half a row is none.
    let _ = file.set_len(before);
    Err(why)
}

/// Reads the history of a folder of reports; empty where there is none.
///
/// # Errors
/// When there is one that cannot be read.
pub fn read(folder: &Path) -> Result<Past, HistoryError> {
    let path = folder.join(FILE);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(parse(&String::from_utf8_lossy(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Past::default()),
        Err(source) => Err(HistoryError::Read { path, source }),
    }
}

/// What every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

fn parse(text: &str) -> Past {
    let (mut rows, mut newer, mut torn) = (Vec::new(), 0, Vec::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match (serde_json::from_str::<Row>(line), serde_json::from_str::<Versioned>(line)) {
            (_, Ok(row)) if row.version > Row::VERSION => newer += 1,
            (Ok(row), _) => rows.push(row),
            _ => torn.push((number + 1).to_string()),
        }
    }
    // Times are written alike, so that they sort as texts. What ended later may have begun earlier.
    rows.sort_by(|one: &Row, other| (&one.time, &one.id).cmp(&(&other.time, &other.id)));
    let mut notes = Vec::new();
    if !torn.is_empty() {
        let lines = if torn.len() == 1 { "line" } else { "lines" };
        notes.push(format!("{FILE}: {lines} {}: no whole row; left out", torn.join(", ")));
    }
    match newer {
        0 => {}
        1 => notes.push(format!("{FILE}: 1 row is of a newer Stampede: it is kept, and not shown; update to see it")),
        _ => notes.push(format!(
            "{FILE}: {newer} rows are of a newer Stampede: they are kept, and not shown; update to see them"
        )),
    }
    Past { rows, notes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;
    use std::fs;

    #[test]
    fn rows_are_added_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap().rows.is_empty());
        let rows = [row("a", 1, 1.0, 1.0), row("b", 2, 2.0, 2.0)];
        // In the order in which they ended.
        append(folder.path(), &rows[1]).unwrap();
        append(folder.path(), &rows[0]).unwrap();
        let past = read(folder.path()).unwrap();
        assert_eq!((past.rows, past.notes.len()), (rows.to_vec(), 0));
    }

    #[test]
    fn a_torn_line_costs_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        append(folder.path(), &row("a", 1, 1.0, 1.0)).unwrap();
        let file = folder.path().join(FILE);
        let whole = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{whole}{}", &whole[..40])).unwrap();
        append(folder.path(), &row("a", 2, 1.0, 1.0)).unwrap();
        let newer = "{\"version\":2,\"other\":true}\n";
        fs::write(&file, fs::read_to_string(&file).unwrap() + newer).unwrap();
        append(folder.path(), &row("a", 3, 1.0, 1.0)).unwrap();
        let past = read(folder.path()).unwrap();
        assert_eq!(past.rows.len(), 3);
        insta::assert_snapshot!(past.notes.join("\n"), @r"
        history.jsonl: line 2: no whole row; left out
        history.jsonl: 1 row is of a newer Stampede: it is kept, and not shown; update to see it
        ");
        assert!(fs::read_to_string(&file).unwrap().contains(newer), "it is kept");
    }

    #[test]
    fn drivers_that_end_at_once_do_not_mix_their_rows() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let folder = folder.path();
                scope.spawn(move || {
                    for number in 0..20 {
                        append(folder, &row("a", thread * 100 + number, 1.0, 1.0)).unwrap();
                    }
                });
            }
        });
        let past = read(folder.path()).unwrap();
        assert_eq!((past.rows.len(), past.notes.len()), (160, 0));
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let error = append(&folder.path().join("missing"), &row("a", 1, 1.0, 1.0)).unwrap_err();
        assert!(error.to_string().contains("this run is not in it"), "{error}");
        if Path::new("/dev/full").exists() {
            let mut full = OpenOptions::new().append(true).read(true).open("/dev/full").unwrap();
            assert!(add(&mut full, b"x\n".to_vec()).is_err());
        }
    }
}
