//! The message id: which numbers are allowed, and how the load generator deals them out.

use std::fmt;

/// Identifies one message within a run: an unsigned integer of at most 2^53 - 1, so that every JSON reader,
/// JavaScript's included, holds it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MsgId(u64);

/// The number is above [`MsgId::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("id {0} is out of range: the largest is 9007199254740991 (2^53 - 1)")]
pub struct IdOutOfRange(pub u64);

impl MsgId {
    /// The largest id, 2^53 - 1.
    pub const MAX: u64 = (1 << 53) - 1;
    /// Workers that [`MsgId::compose`] can tell apart.
    pub const WORKERS: u16 = 1 << 10;
    /// Connections per worker that [`MsgId::compose`] can tell apart.
    pub const CONNECTIONS: u16 = 1 << 11;

    /// Accepts `id` when it is at most [`MsgId::MAX`].
    pub fn new(id: u64) -> Result<Self, IdOutOfRange> {
        if id <= Self::MAX { Ok(Self(id)) } else { Err(IdOutOfRange(id)) }
    }

    /// Lays out `worker (10 bits) | connection (11 bits) | sequence (32 bits)`. Ids are unique over workers and
    /// connections, and each connection samples its own 1 in N: ids dealt round-robin over a number of
    /// connections that divides N would take every sample from one connection.
    ///
    /// # Panics
    /// When `worker` or `connection` is not below [`MsgId::WORKERS`] or [`MsgId::CONNECTIONS`]: the load
    /// generator checks both when it reads its arguments.
    #[must_use]
    pub fn compose(worker: u16, connection: u16, sequence: u32) -> Self {
        assert!(worker < Self::WORKERS && connection < Self::CONNECTIONS, "worker or connection does not fit the id");
        Self(u64::from(worker) << 43 | u64::from(connection) << 32 | u64::from(sequence))
    }

    /// The part that tells connections apart; in a load of several steps, the steps.
    #[must_use]
    pub fn connection(self) -> u16 {
        u16::try_from(self.0 >> 32 & u64::from(Self::CONNECTIONS - 1)).unwrap_or(0)
    }

    /// The number itself.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for MsgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn the_range_ends_at_two_to_the_53_minus_1() {
        assert_eq!(MsgId::new(MsgId::MAX).unwrap().get(), 9_007_199_254_740_991);
        assert_eq!(MsgId::new(MsgId::MAX + 1), Err(IdOutOfRange(MsgId::MAX + 1)));
    }

    #[test]
    fn the_largest_layout_is_the_largest_id() {
        assert_eq!(MsgId::compose(MsgId::WORKERS - 1, MsgId::CONNECTIONS - 1, u32::MAX).get(), MsgId::MAX);
    }

    #[test]
    fn every_connection_samples_its_own_share() {
        for connection in 0..20 {
            let sampled = (0..10_000).filter(|&s| MsgId::compose(0, connection, s).get().is_multiple_of(100)).count();
            assert_eq!(sampled, 100, "connection {connection}");
        }
    }

    proptest! {
        #[test]
        fn layouts_never_collide(parts in prop::collection::hash_set((0..MsgId::WORKERS, 0..MsgId::CONNECTIONS, any::<u32>()), 1..200)) {
            let ids: HashSet<_> = parts.iter().map(|&(w, c, s)| MsgId::compose(w, c, s)).collect();
            prop_assert_eq!(ids.len(), parts.len());
            for &(w, c, s) in &parts {
                prop_assert_eq!(MsgId::compose(w, c, s).connection(), c);
            }
        }
    }
}
