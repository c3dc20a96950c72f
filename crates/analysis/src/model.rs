//! The report as data: what every output format shows. docs/report.md describes it, field by field.

use crate::findings::Findings;
use crate::{Found, Level, StampQuality, Stamping, Stamps, StampsError, Sweep, ThresholdVerdict, measure};
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
    /// 1 message in N was sampled; absent where nobody knows.
    pub every: Option<u64>,
    /// The stages in path order.
    pub path: Vec<Stage>,
    /// Every setting that matters.
    pub settings: BTreeMap<String, String>,
    /// Where it was measured: kernel, processor, versions, settings of the servers.
    pub environment: BTreeMap<String, String>,
    /// A level is within the limit when its 99th percentile of arrival latency is at most this, µs.
    pub p99_limit_us: u64,
    /// What the stamps of each stage are worth, over all levels.
    pub stamping: Vec<Stamping>,
    /// The levels, by their setting and then by repetition.
    pub levels: Vec<Level>,
    /// What the levels together tell.
    pub findings: Findings,
    /// What a search found whose trials the levels are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Found>,
    /// Whether what was demanded of it holds.
    #[serde(default)]
    pub thresholds: Vec<ThresholdVerdict>,
}

impl Report {
    /// The version of the shape that this program writes.
    pub const SCHEMA_VERSION: u32 = 2;

    /// A report on a sweep, still without levels.
    pub fn new(sweep: &Sweep) -> Self {
        Self {
            schema_version: Self::SCHEMA_VERSION,
            sweep: sweep.id.to_string(),
            started_unix_s: sweep.started_unix_s,
            every: sweep.every,
            path: sweep.path.clone(),
            settings: sweep.settings.clone(),
            environment: sweep.environment.clone(),
            p99_limit_us: sweep.p99_limit_us,
            stamping: Vec::new(),
            levels: Vec::new(),
            findings: Findings::default(),
            search: sweep.search.clone(),
            thresholds: Vec::new(),
        }
    }

    /// Adds a level in its place.
    pub fn add(&mut self, level: Level) {
        self.levels.push(level);
        self.levels.sort_by(|one, other| one.load.cmp_setting(&other.load));
    }

    /// Works out what the levels together tell: to be called once they are there.
    pub fn conclude(&mut self, stamping: Vec<Stamping>) {
        self.stamping = stamping;
        crate::findings::divide_service_and_wait(&mut self.levels);
        self.findings = Findings::of(self);
    }

    /// Whether that is so at every level.
    pub fn accepted_nothing(&self) -> bool {
        !self.levels.is_empty() && self.levels.iter().all(Level::accepted_nothing)
    }

    /// Whether loads were made by users who go through steps.
    pub fn has_users(&self) -> bool {
        self.levels.iter().any(|level| level.load.scenario.is_some())
    }

    /// Whether an API was loaded alone: there are no traced messages.
    pub fn is_untraced(&self) -> bool {
        let is_traced = |level: &Level| {
            !level.load.untraced
                && level.load.scenario.as_ref().is_none_or(|scenario| scenario.steps.iter().any(|step| step.traced))
        };
        !self.levels.is_empty() && !self.levels.iter().any(is_traced)
    }

    /// Whether the levels are rates, in requests a second, and not numbers of connections.
    pub fn is_by_rate(&self) -> bool {
        self.levels.iter().any(|level| level.load.rate.is_some())
    }
}

/// Makes the whole report of a sweep; `stage_read` is called each time that all stamps of a stage have been read.
///
/// # Errors
/// As those of [`measure()`], with the run.
pub async fn make_report(
    stamps: &mut Stamps,
    sweep: &Sweep,
    stage_read: &(dyn Fn() + Sync),
) -> Result<Report, StampsError> {
    let mut report = Report::new(sweep);
    let mut quality = StampQuality::new(&sweep.path);
    // In their order, which is that of a file.
    for load in &sweep.loads {
        let level = measure(stamps, load, sweep, &mut quality, stage_read).await;
        report.add(level.map_err(|source| StampsError::Run { run: load.run.clone(), source: Box::new(source) })?);
    }
    stamps.finish()?;
    report.conclude(quality.summary());
    Ok(report)
}
