//! Which messages are stamped: every component decides alone, from the id.

use crate::MsgId;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// Samples 1 message in N: those with `id % N == 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleEvery(NonZeroU64);

/// N is not a positive integer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no sampling interval: give a whole number from 1 (every message) up, for example 100")]
pub struct InvalidSampleEvery(String);

impl SampleEvery {
    /// Samples 1 in `n`; nothing for zero.
    #[must_use]
    pub fn new(n: u64) -> Option<Self> {
        NonZeroU64::new(n).map(Self)
    }

    /// N.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// Whether the message with this id is stamped.
    #[must_use]
    pub fn samples(self, id: MsgId) -> bool {
        id.get() % self.0 == 0
    }
}

impl Default for SampleEvery {
    fn default() -> Self {
        Self(NonZeroU64::new(100).unwrap_or(NonZeroU64::MIN))
    }
}

impl FromStr for SampleEvery {
    type Err = InvalidSampleEvery;

    fn from_str(text: &str) -> Result<Self, InvalidSampleEvery> {
        text.parse().ok().and_then(Self::new).ok_or_else(|| InvalidSampleEvery(text.to_owned()))
    }
}

impl fmt::Display for SampleEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_unless_set() {
        let every = SampleEvery::default();
        assert!(every.samples(MsgId::new(0).unwrap()) && every.samples(MsgId::new(12_000).unwrap()));
        assert!(!every.samples(MsgId::new(12_001).unwrap()));
        assert!("0".parse::<SampleEvery>().is_err() && "-1".parse::<SampleEvery>().is_err());
    }
}
