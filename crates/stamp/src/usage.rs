//! Wrong usage that only shows after the command line has been parsed: it ends a program as clap does, with exit code 2.

/// The exit code of wrong usage, which is clap's.
pub const WRONG_USAGE: u8 = 2;

/// What was asked for cannot be done: what, why, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// An error of wrong usage unless `holds`.
///
/// # Errors
/// What `told` says.
pub fn ensure_usage<T: Into<String>>(holds: bool, told: impl FnOnce() -> T) -> Result<(), UsageError> {
    if holds { Ok(()) } else { Err(UsageError(told().into())) }
}
