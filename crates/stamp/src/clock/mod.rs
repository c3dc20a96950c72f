//! Clocks. This is the doorway to this machine's own: nothing else in Stampede reads one (clippy enforces it), so that a
//! reader finds every time that enters a result. And it holds the disciplined clock, which tells Redis time for any
//! moment of this process, with an error bound ([`RedisClock`]; the method is in docs/method.md).

mod discipline;
mod filter;

pub use discipline::{ClockState, RedisClock, RedisTime, probe_once};
pub use filter::{Filter, Line, Probe, Step, Verdict};

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// This process's monotonic clock. Differences between two readings are durations; nothing else is.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn now() -> Instant {
    Instant::now()
}

/// This host's wall clock as time since 1970-01-01 UTC: for names and headings, never for a latency.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
