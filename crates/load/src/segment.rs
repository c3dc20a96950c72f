//! The part of a load that one of several generators makes. Together they make what a single one would: each request, user and row belongs to exactly one.

use serde::{Deserialize, Serialize};

/// Which part: of whatever is counted, users, requests of a schedule, rows, this is every `of`-th from `index` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// What stands in the ids of its messages: no other generator of the same run has it.
    pub worker: u16,
    /// Counted from 0.
    pub index: u32,
    /// How many generators there are.
    pub of: u32,
}

impl Default for Segment {
    /// The whole load.
    fn default() -> Self {
        Self { worker: 0, index: 0, of: 1 }
    }
}

impl Segment {
    /// How many of the first `number` are in it.
    pub fn count(self, number: u64) -> u64 {
        (number + u64::from(self.of - 1 - self.index)) / u64::from(self.of)
    }

    /// The same of users.
    pub(crate) fn users(self, number: u32) -> u32 {
        u32::try_from(self.count(number.into())).unwrap_or(u32::MAX)
    }

    /// Where its `nth` stands among all, counted from 0.
    pub(crate) fn place(self, nth: u32) -> u32 {
        self.index.saturating_add(nth.saturating_mul(self.of))
    }

    /// All parts of the load, by their index.
    pub fn all(self) -> impl Iterator<Item = Self> {
        (0..self.of).map(move |index| Self { index, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn each_belongs_to_one(of in 1u32..40, number in 0u32..500) {
            let mut seen = BTreeSet::new();
            for segment in (Segment { of, ..Segment::default() }).all() {
                let count = segment.users(number);
                // As evenly as whole ones allow.
                prop_assert!(count == number / of || count == number.div_ceil(of));
                for nth in 0..count {
                    prop_assert!(segment.place(nth) < number && seen.insert(segment.place(nth)));
                }
            }
            prop_assert_eq!(seen.len(), number as usize);
        }
    }
}
