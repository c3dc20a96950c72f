//! What is going on.

use serde::Serialize;

/// The state that the page's head shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Nothing has begun.
    Idle,
    /// The pipeline is made ready.
    Preparing,
    Warmup,
    /// Users come.
    Spawning,
    Running,
    Paused,
    /// The load has ended, and messages are waited for.
    Draining,
    /// The level is measured from its stamps.
    Measuring,
    Done,
    /// It could not begin, or not go on.
    Failed,
}

impl Phase {
    /// Whether something runs.
    pub(crate) fn is_active(self) -> bool {
        !matches!(self, Self::Idle | Self::Done | Self::Failed)
    }

    /// Whether load is made, or could be at once.
    pub(crate) fn can_change(self) -> bool {
        matches!(self, Self::Warmup | Self::Spawning | Self::Running | Self::Paused)
    }
}
