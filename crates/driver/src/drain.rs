//! The drain: after a load, waits until every accepted message has arrived. Never a fixed sleep.

use crate::pipeline::Pipeline;
use stamp::{Counts, Path, RunId, Stage, clock};
use std::time::Duration;
use tokio::time::sleep;

/// How often the counters are read.
const PERIOD: Duration = Duration::from_millis(20);

/// How long an intake must stand still to have ended: services write their counts every 100 ms.
const STILL: Duration = Duration::from_millis(400);

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drained {
    /// How long it took: to the last movement, where it was given up.
    pub(crate) took: Duration,
    /// Every accepted message has passed every stage.
    pub(crate) complete: bool,
}

/// Waits until `accepted` messages of the run have passed every stage after the load generator's own, or until no
/// counter has moved for `patience`.
///
/// # Errors
/// When the log store fails, or a part of the local stack ends.
pub(crate) async fn drain(
    pipeline: &mut Pipeline,
    run: &RunId,
    path: &Path,
    accepted: u64,
    patience: Duration,
) -> anyhow::Result<Drained> {
    let begin = clock::now();
    let mut moved = begin;
    let mut last = Counts::default();
    loop {
        pipeline.ended()?;
        let counts = pipeline.log.counts(run).await?;
        let now = clock::now();
        // What was enqueued although its answer was lost on the way arrives, too.
        if is_complete(&counts, path, accepted.max(counts.get(Stage::ENQUEUE.as_str()))) {
            return Ok(Drained { took: now.duration_since(begin), complete: true });
        }
        if counts != last {
            (last, moved) = (counts, now);
        }
        if now.duration_since(moved) >= patience {
            return Ok(Drained { took: moved.duration_since(begin), complete: false });
        }
        sleep(PERIOD).await;
    }
}

/// Waits until the pipeline's intake has stood still for a while, and gives the messages that it has taken in: what a load of
/// another program has accepted.
///
/// # Errors
/// When the log store fails.
pub(crate) async fn settled(pipeline: &Pipeline, run: &RunId, path: &Path) -> anyhow::Result<u64> {
    let stages = path.stages();
    let intake = stages.iter().find(|stage| **stage == Stage::ENQUEUE).unwrap_or(&stages[0]);
    let mut last = 0;
    loop {
        sleep(STILL).await;
        let now = pipeline.log.counts(run).await?.get(intake.as_str());
        if now == last {
            return Ok(now);
        }
        last = now;
    }
}

/// A stamp is in the log store before the message is counted there: once the counts are complete, so are the stamps.
fn is_complete(counts: &Counts, path: &Path, accepted: u64) -> bool {
    let stages = path.stages();
    let passed =
        stages.iter().filter(|stage| **stage != Stage::SEND).all(|stage| counts.get(stage.as_str()) >= accepted);
    let arrived = stages.last().map_or(0, |last| counts.get(last.as_str()));
    passed && arrived.saturating_sub(counts.get("duplicates")) >= accepted
}
