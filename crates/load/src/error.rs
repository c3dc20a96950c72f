//! What can go wrong beside the requests themselves, which are counted.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A load could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The generator's thread, or its event loop, did not start.
    #[error("cannot start the load generator: {0}")]
    Start(#[source] io::Error),
    /// The timer of an open loop failed.
    #[error("the load generator's timer failed: {0}")]
    Timer(#[source] io::Error),
    /// The generator's thread has panicked, and printed why.
    #[error("the load generator's thread panicked")]
    Panicked,
}

/// The certificates to trust are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of certificates is unreadable, or no PEM file.
    #[error("cannot read certificates from {path}: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate of the file cannot be used.
    #[error("cannot use a certificate of {path}: {source}", path = .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// The file holds none.
    #[error("{path} holds no certificate: give a PEM file", path = .0.display())]
    Empty(PathBuf),
    /// The machine has none.
    #[error("this machine has no certificate authorities: name a file of them (--cacert; --otlp-ca for a collector)")]
    NoAuthorities,
    /// The cryptography does not fit the protocol.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// wrk could not be run, or was not understood.
#[derive(Debug, thiserror::Error)]
pub enum WrkError {
    /// It is not on the `PATH`.
    #[error("--generator wrk needs wrk on PATH: install it with ./scripts/setup --with wrk, or your package manager")]
    Missing,
    /// Its script cannot be written.
    #[error("cannot write wrk's script: {0}")]
    Script(#[source] io::Error),
    /// It cannot be run.
    #[error("cannot run wrk: {0}")]
    Run(#[source] io::Error),
    /// It failed.
    #[error("wrk failed ({status}): {output}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
    /// It printed something else than expected.
    #[error("cannot read what wrk printed:\n{0}")]
    Unexpected(String),
}
