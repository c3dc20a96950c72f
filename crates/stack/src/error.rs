//! What can go wrong with the local stack.

use std::path::PathBuf;

/// The local stack did not start, or lost a part.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A server program is not installed.
    #[error("{program} is not installed: {remedy}")]
    Missing {
        /// The program's name.
        program: &'static str,
        /// How to install it on this system.
        remedy: String,
    },
    /// A server program is too old.
    #[error("{program} {found} is too old: {needed} or later is needed; {remedy}")]
    TooOld {
        /// The program's name.
        program: &'static str,
        /// Its version.
        found: String,
        /// The lowest major version that will do.
        needed: u32,
        /// How to install a newer one on this system.
        remedy: String,
    },
    /// A process could not be started.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// The executable.
        program: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A process cannot be limited.
    #[error(
        "cannot limit {name} to {cpus} processors: {why}; run as root, or within `systemd-run --user --scope -p Delegate=yes`, or limit containers by `cpus:`"
    )]
    Limit {
        /// Which process.
        name: String,
        /// To how many processors.
        cpus: f64,
        /// Why not.
        why: String,
    },
    /// A Redis and its replica do not do what they are told.
    #[error("redis with a replica: {0}")]
    Replication(String),
    /// An option that only one process can have was given to several.
    #[error("{0}")]
    Replicas(String),
    /// The temporary folder cannot be used.
    #[error("cannot use the temporary folder {path}: {source}; TMPDIR chooses another")]
    Folder {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A process ended when it should not.
    #[error("{name} ended unexpectedly ({status}); its log ends with:\n{log}")]
    Ended {
        /// Which process.
        name: String,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// A process did not become ready in time.
    #[error("{name} was not ready after {seconds} s; its log ends with:\n{log}")]
    NotReady {
        /// Which process.
        name: String,
        /// How long it was waited for.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
}

impl StackError {
    /// What happened, on one line: without the log of a process that has ended.
    #[must_use]
    pub fn headline(&self) -> String {
        match self {
            Self::Ended { name, status, .. } => format!("{name} ended unexpectedly ({status})"),
            other => other.to_string(),
        }
    }
}
