//! What coordinator and workers tell each other, as JSON (docs/protocol.md).

use load::{LoadPlan, Segment};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

/// How long a worker is a coordinator's without hearing from it. After that it stops, and is free.
pub(crate) const LEASE: Duration = Duration::from_millis(4500);

/// What a worker is to do. Written anew every second, it lives as long as its lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Whose worker it is.
    pub(crate) coordinator: String,
    /// The coordinator needs it no more: it is free, and the next may take it.
    pub(crate) released: bool,
    /// It was taken and not needed: its work is still to come.
    #[serde(default)]
    pub(crate) unused: bool,
    /// The load that it makes a part of.
    pub(crate) task: Option<Task>,
}

/// A part of a load. Times are Redis TIME, µs since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Task {
    /// Which of the coordinator's loads: its document is at [`stamp::keys::work_load`].
    pub(crate) load: u64,
    /// Which part.
    pub(crate) segment: Segment,
    /// When it begins, once that is known.
    pub(crate) begin_us: Option<i64>,
    /// Where users begin before the measured time: when that begins, once that is known.
    pub(crate) measured_us: Option<i64>,
    /// When it ends early, once that is known.
    pub(crate) stop_us: Option<i64>,
}

/// A load as a document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) plan: LoadPlan,
    /// The run under which its messages are stamped; absent where they are not.
    pub(crate) run: Option<String>,
}

/// How a worker stands: a line of the coordinator's stream.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) worker: String,
    /// Counts its lines.
    pub(crate) number: u64,
    /// Which load; absent where it has none.
    pub(crate) load: Option<u64>,
    pub(crate) phase: Phase,
    /// What is in the way, where something is.
    pub(crate) why: Option<String>,
    /// The bound of its clock's error, µs.
    pub(crate) clock_error_us: Option<u32>,
    /// A [`load::Snapshot`]: all it has measured so far.
    pub(crate) snapshot: Option<Box<RawValue>>,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// It has no load, or still makes itself ready for one.
    Idle,
    /// It knows the load, has found its targets, and waits for the beginning.
    Ready,
    /// It loads.
    Running,
    /// Its users are there, and it waits for those of others, or goes on.
    There,
    /// It has made its part.
    Ended,
    /// It cannot, or will not, make its part.
    Refused,
    /// It had not heard from its coordinator for the time of its lease, and has stopped.
    Lapsed,
    /// It goes: whoever runs it has ended it.
    Left,
}
