//! The report as data: what every output format shows.

use crate::{Distribution, Load, Stamping, Sweep};
use serde::{Deserialize, Serialize};
use stamp::Stage;
use std::collections::BTreeMap;

/// A whole report. `report.json` is this, field by field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this shape: a reader of one version understands all reports that carry it.
    pub schema_version: u32,
    /// The sweep's id.
    pub sweep: String,
    /// When it began, seconds since 1970-01-01 UTC.
    pub started_unix_s: u64,
    /// 1 message in N was sampled.
    pub every: u64,
    /// The stages in path order.
    pub path: Vec<Stage>,
    /// Every setting that matters.
    pub settings: BTreeMap<String, String>,
    /// What the stamps of each stage are worth, over all levels.
    pub stamping: Vec<Stamping>,
    /// The levels in the order in which they ran.
    pub levels: Vec<Level>,
}

/// One level: what the load generator saw, and what the stamps tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// The load.
    pub load: Load,
    /// From the API server's stamp to the last stage's: the founding measure.
    pub arrival: Distribution,
    /// From the first stage's stamp, the intended send, to the last one's: what the user waits.
    pub user: Distribution,
    /// One for each stage but the first.
    pub hops: Vec<Hop>,
    /// The exact books of all messages, sampled or not.
    pub books: Books,
    /// Messages that were stamped at the stage where arrival latency begins.
    pub sampled: u64,
    /// Sampled messages that have a stamp of every stage.
    pub complete: u64,
    /// Stamps of one message at one stage beyond the first. They do not enter any latency.
    pub repeated_stamps: u64,
    /// Differences between neighbouring stages, or end to end, that are below zero: they are kept as they are.
    pub negative: u64,
    /// Sampled messages that were on their way while the log store's clock was set: they enter no latency.
    pub across_steps: u64,
    /// Entries of the log store that are no stamps.
    pub unreadable: u64,
}

/// The way from the stage before to this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// The stage at its end.
    pub stage: Stage,
    /// How long it took.
    pub latency: Distribution,
}

/// Exact counts: accepted + unanswered = arrived + lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Messages that the load generator got a 2xx for; where another program made the load, those that were enqueued.
    pub accepted: u64,
    /// Messages that reached the last stage, duplicates apart.
    pub arrived: u64,
    /// Messages that the queue got although the load generator never got its 2xx, as when Redis or a connection fails in the
    /// middle of a request.
    pub unanswered: u64,
    /// accepted + unanswered - arrived. Below zero only where a pipeline has no stage `enqueue` that would tell the unanswered.
    pub lost: i64,
    /// Arrivals of messages that had arrived before.
    pub duplicates: u64,
    /// Stamps that did not fit the buffers of their writers.
    pub stamps_dropped: u64,
    /// Messages counted at each stage, in path order, duplicates included.
    pub passed: Vec<(Stage, u64)>,
}

impl Report {
    /// The version of the shape that this program writes.
    pub const SCHEMA_VERSION: u32 = 1;

    /// A report on a sweep, still without levels.
    #[must_use]
    pub fn new(sweep: &Sweep) -> Self {
        Self {
            schema_version: Self::SCHEMA_VERSION,
            sweep: sweep.id.to_string(),
            started_unix_s: sweep.started_unix_s,
            every: sweep.every,
            path: sweep.path.clone(),
            settings: sweep.settings.clone(),
            stamping: Vec::new(),
            levels: Vec::new(),
        }
    }
}
