//! What can be wrong with a file of raw stamps.

use std::path::PathBuf;

/// A file of raw stamps cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RawError {
    /// It cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{0} holds no raw stamps: name a file that driver export wrote")]
    Foreign(PathBuf),
    /// It is compressed as files of version 0.1 were.
    #[error(
        "{0} is compressed with zstd, as stampede 0.1 did it: unpack it (zstd -d FILE), and name the text that this makes"
    )]
    Zstd(PathBuf),
    /// It has another version of the format.
    #[error(
        "{path} has version {found} of the format of raw stamps, and this program reads version {known}: use the program that wrote it"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program reads.
        known: u32,
    },
    /// It ends too early.
    #[error("{path} is cut off after line {line}{place}: export it again, or copy it again from where it came from")]
    CutOff {
        /// The file.
        path: PathBuf,
        /// The last line that is whole.
        line: u64,
        /// What stood there.
        place: String,
    },
    /// Something in it is not as it was written.
    #[error(
        "{path} is damaged at line {line}{place}: {what}; export it again, or copy it again from where it came from"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        line: u64,
        /// What stands there.
        place: String,
        /// What is wrong.
        what: String,
    },
}
