//! What the levels of a report together tell: how much the pipeline can sustain, what gives way first, and how sure that is. Pure.

mod capacity;
mod course;
mod foreign;
mod knee;
mod noise;
mod pooled;
mod service;
mod usl;
mod verdict;
mod weakest;
mod withheld;

pub use capacity::Capacity;
pub use knee::Knee;
pub use pooled::{Pooled, Spread};
pub use usl::{Estimate, Fit, Usl};
pub use weakest::{Rival, Weakest};
pub use withheld::Withheld;

pub(crate) use course::answers;
pub(crate) use service::divide_service_and_wait;

use crate::Report;
use serde::{Deserialize, Serialize};

/// What the levels of a report together tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The same in plain words, the most important sentence first.
    pub verdict: Vec<String>,
    /// The highest load that the pipeline carried within the limit; absent where it carried none.
    pub capacity: Option<Capacity>,
    /// What gives way first; absent where nothing does within the levels of the sweep.
    pub weakest: Option<Weakest>,
    /// Where a curve of the sweep bends; none where it does not.
    pub knees: Vec<Knee>,
    /// The Universal Scalability Law, or why it was not fitted.
    pub usl: Usl,
    /// Each setting over its repetitions, in the order of the levels.
    pub pooled: Vec<Pooled>,
    /// The load that users withheld while they waited, one for each level; empty where no load was of users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Option<Withheld>>,
}

impl Findings {
    /// Works them out.
    pub fn of(report: &Report) -> Self {
        let mut findings = Self {
            verdict: Vec::new(),
            capacity: Capacity::of(report),
            weakest: Weakest::of(report),
            knees: Knee::all(report),
            usl: Usl::of(report),
            pooled: Pooled::all(report),
            withheld: if report.has_users() { Withheld::all(report) } else { Vec::new() },
        };
        findings.verdict = verdict::sentences(report, &findings);
        findings
    }
}
