//! Loads that other programs make: when they begin and when they have ended, as the pipeline's intake tells.

use crate::error::ExperimentError;
use crate::pipeline::Pipeline;
use stamp::{Path, RunId, Stage, StoreError, clock};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often the counters are read.
const PERIOD: Duration = Duration::from_millis(100);

/// How long an intake must stand still to have ended, where its load is known to have: services write their counts every 100 ms.
pub(crate) const STILL: Duration = Duration::from_millis(400);

/// Waits until messages of the run come in; false where `stop` came before.
/// Fails when the log store fails, or a part of the local stack ends.
pub(crate) async fn begins(
    pipeline: &mut Pipeline,
    run: &RunId,
    path: &Path,
    stop: &CancellationToken,
) -> Result<bool, ExperimentError> {
    while taken_in(pipeline, run, path).await? == 0 {
        pipeline.ended()?;
        if stop.run_until_cancelled(sleep(PERIOD)).await.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits until no message has come in for `quiet`, or, where there is a `stop`, until that or a part of the local stack ends; gives how many have come:
/// what a load of another program has accepted.
/// Fails when the log store fails.
pub(crate) async fn settled(
    pipeline: &mut Pipeline,
    run: &RunId,
    path: &Path,
    quiet: Duration,
    stop: Option<&CancellationToken>,
) -> Result<u64, ExperimentError> {
    let (mut last, mut moved) = (0, clock::now());
    loop {
        let is_ended = pipeline.lost_part().is_some();
        let now = taken_in(pipeline, run, path).await?;
        if now != last {
            (last, moved) = (now, clock::now());
        }
        if clock::now().duration_since(moved) >= quiet || stop.is_some_and(|stop| stop.is_cancelled() || is_ended) {
            return Ok(now);
        }
        sleep(PERIOD.min(quiet)).await;
    }
}

/// Messages that the pipeline has taken in.
async fn taken_in(pipeline: &Pipeline, run: &RunId, path: &Path) -> Result<u64, StoreError> {
    let stages = path.stages();
    let intake = stages.iter().find(|stage| **stage == Stage::ENQUEUE).unwrap_or(&stages[0]);
    Ok(pipeline.counts(run).await?.get(intake.as_str()))
}
