//! Thresholds: what must hold of a report, and whether it does. Pure.

mod carried;
mod grammar;
mod measure;
mod verdict;

pub use carried::Carried;
pub use grammar::{InvalidThreshold, Threshold};
pub use verdict::ThresholdVerdict;

use stamp::Stage;

/// A threshold is on a hop that the path does not have.
#[derive(Debug, thiserror::Error)]
#[error("--threshold '{threshold}': no hop ends at a stage {stage}; take one of {hops}")]
pub struct NoHop {
    threshold: String,
    stage: Stage,
    hops: String,
}

/// Checks that the path has what the thresholds are on.
///
/// # Errors
/// Names the first one that is on a hop which is not there.
pub fn check_hops(thresholds: &[Threshold], path: &[Stage]) -> Result<(), NoHop> {
    let hops = path.get(1..).unwrap_or_default();
    let missing = |threshold: &Threshold| {
        let stage = threshold.metric.stage().filter(|stage| !hops.contains(stage))?.clone();
        let hops = hops.iter().map(Stage::as_str).collect::<Vec<_>>().join(", ");
        Some(NoHop { threshold: threshold.to_string(), stage, hops })
    };
    thresholds.iter().find_map(missing).map_or(Ok(()), Err)
}
