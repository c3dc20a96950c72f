//! The run: one load at one setting. Keys in the log store carry its id.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Names one run, for example `20261121-101500-k3f.c05`: 1 to 64 characters of `[A-Za-z0-9._-]`, cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Arc<str>);

/// The text is no run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRunId {
    /// Empty, too long, or with a character outside the set.
    #[error("run {0:?} is invalid: use 1 to 64 characters of A-Z a-z 0-9 . _ -")]
    Characters(String),
    /// `trace:service:*`, `trace:sweep:*` and `trace:clock:*` hold other things than runs.
    #[error("run {0:?} is a reserved name: choose another")]
    Reserved(String),
}

impl RunId {
    /// The run of messages that name none.
    pub const ADHOC: &str = "adhoc";

    /// Checks a run id without allocating.
    pub fn check(text: &str) -> Result<(), InvalidRunId> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > 64 || !text.bytes().all(fits) {
            // A hostile name can be as long as a request body; the error need not be.
            return Err(InvalidRunId::Characters(text.chars().take(80).collect()));
        }
        if matches!(text, "service" | "sweep" | "clock") {
            return Err(InvalidRunId::Reserved(text.to_owned()));
        }
        Ok(())
    }

    /// The run of messages that name none.
    #[must_use]
    pub fn adhoc() -> Self {
        Self(Self::ADHOC.into())
    }

    /// A run id that [`RunId::check`] has passed before.
    pub(crate) fn trusted(text: &str) -> Self {
        debug_assert!(Self::check(text).is_ok());
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, InvalidRunId> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidRunId;

    fn try_from(text: String) -> Result<Self, InvalidRunId> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(value: RunId) -> String {
        value.to_string()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_run_id() {
        for good in ["adhoc", "20261121-101500-k3f.c05", "A_b-c.9", &"x".repeat(64)] {
            assert_eq!(good.parse::<RunId>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a:b", "ä", "service", "sweep", "clock", &"x".repeat(65)] {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?}");
        }
    }
}
