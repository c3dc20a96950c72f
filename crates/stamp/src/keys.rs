//! The names of the log store's keys (docs/protocol.md).

use crate::{RunId, Stage};

/// Seconds a key lives after its last write, unless set otherwise: one day.
pub const DEFAULT_TTL_SECONDS: u64 = 24 * 60 * 60;

/// The Redis list that the reference pipeline's messages wait in, unless set otherwise.
pub const DEFAULT_QUEUE: &str = "stampede:queue";

/// The list of one stage's stamps in one run: `trace:<run>:<stage>`.
#[must_use]
pub fn stamps(run: &RunId, stage: &Stage) -> String {
    format!("trace:{run}:{stage}")
}

/// The hash of one run's exact counters: `trace:<run>:counts`.
#[must_use]
pub fn counts(run: &RunId) -> String {
    format!("trace:{run}:counts")
}

/// Messages whose arrival is kept in one key: one bit for each.
pub const ARRIVALS_PER_BLOCK: u64 = 4096;

/// The bitmap of the arrivals of ids from `block * 4096` on, in one run: `trace:<run>:arrived:<block>`.
#[must_use]
pub fn arrived(run: &RunId, block: u64) -> String {
    format!("trace:{run}:arrived:{block}")
}

/// The document that describes one sweep: `trace:sweep:<sweep>`.
#[must_use]
pub fn sweep(sweep: &RunId) -> String {
    format!("trace:sweep:{sweep}")
}

/// The id of the sweep that finished a level last.
pub const LATEST_SWEEP: &str = "trace:latest-sweep";

/// The list of the times that the log store's clock was set.
pub const CLOCK_STEPS: &str = "trace:clock:steps";

/// What a worker is to do, and for whom: `trace:worker:<instance>`.
#[must_use]
pub fn worker(instance: &str) -> String {
    format!("trace:worker:{instance}")
}

/// What the workers of a coordinator tell it: `trace:work:<coordinator>`.
#[must_use]
pub fn work(coordinator: &str) -> String {
    format!("trace:work:{coordinator}")
}

/// A load that a coordinator's workers make, as long as they have not all read it: `trace:work:<coordinator>:<number>`.
#[must_use]
pub fn work_load(coordinator: &str, number: u64) -> String {
    format!("trace:work:{coordinator}:{number}")
}

/// Where one process of a service beats: `trace:service:<service>:<instance>`.
#[must_use]
pub fn service(service: &str, instance: &str) -> String {
    format!("trace:service:{service}:{instance}")
}
