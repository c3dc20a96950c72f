//! What the page shows of a level, as it is sent there. Latencies are in µs, rates a second.

use crate::spread::Figures;
use serde::Serialize;

/// A slow message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Slow {
    pub(crate) id: u64,
    /// Seconds since the level began, as of the look that brought it.
    pub(crate) t: f64,
    pub(crate) arrival_us: i64,
    /// From each stage to the next, µs.
    pub(crate) hops_us: Vec<i64>,
}

/// What the tiles show: rates are a second, over [`WINDOW`](crate::level::WINDOW).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Tiles {
    pub(crate) asked: Option<f64>,
    pub(crate) sent: Option<f64>,
    pub(crate) accepted: Option<f64>,
    pub(crate) failed: Option<f64>,
    pub(crate) arrived: Option<f64>,
    pub(crate) http: Figures,
    pub(crate) arrival: Figures,
    pub(crate) user: Figures,
    pub(crate) backlog: Option<u64>,
    /// By how much the backlog changes a second.
    pub(crate) backlog_per_s: Option<f64>,
    /// Messages that are accepted and have not arrived.
    pub(crate) in_flight: Option<u64>,
    /// By how much they become more a second.
    pub(crate) in_flight_per_s: Option<f64>,
    /// Messages that are missing: of the level under way those that are overdue, of one that has ended those that are lost.
    pub(crate) lost: Option<i64>,
    /// For how long nothing has arrived although messages are on their way, seconds.
    pub(crate) stalled_s: Option<f64>,
    /// Where they come from: `live`, or `report` of a level that has ended.
    pub(crate) from: &'static str,
}

/// How the load generator itself does, over [`WINDOW`](crate::level::WINDOW).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Generator {
    /// Share of one processor that its thread takes.
    pub(crate) cpu_share: Option<f64>,
    pub(crate) send_delay_p99_us: Option<u64>,
    /// Requests or rounds that are due and not begun.
    pub(crate) waiting: u64,
    pub(crate) users: u32,
    /// Requests sent and not answered.
    pub(crate) in_flight: u64,
    /// Why it, and not the pipeline, limits the load; absent where it does not.
    pub(crate) limited_by: Option<String>,
    /// What its figures lack; absent where they are whole.
    pub(crate) lacks: Option<String>,
}

/// One of several generators that make the load, since the level began.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Worker {
    pub(crate) number: u16,
    pub(crate) host: String,
    pub(crate) requests: u64,
    pub(crate) accepted: u64,
    pub(crate) failed: u64,
    pub(crate) waiting: u64,
    pub(crate) send_delay_p99_us: u64,
    pub(crate) is_lost: bool,
    /// It says nothing: these are its figures from before.
    pub(crate) is_silent: bool,
}

/// A step since the level began.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) response: Figures,
    pub(crate) arrival: Figures,
}

/// Failures of one kind since the level began.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Failure {
    pub(crate) kind: String,
    pub(crate) count: u64,
    /// The beginning of the first answer.
    pub(crate) answer: Option<String>,
}

/// What became of all messages, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Books {
    pub(crate) sent: Option<u64>,
    pub(crate) accepted: u64,
    pub(crate) failed: Option<u64>,
    pub(crate) arrived: u64,
    pub(crate) duplicates: u64,
    pub(crate) in_flight: u64,
    pub(crate) backlog: Option<u64>,
    pub(crate) missing: u64,
    pub(crate) stamps_dropped: u64,
    /// Messages counted at each stage, in path order.
    pub(crate) stages: Vec<(String, u64)>,
}
