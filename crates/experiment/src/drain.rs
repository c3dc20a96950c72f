//! The drain: after a load, waits until every accepted message has arrived. Never a fixed sleep.

use crate::error::ExperimentError;
use crate::pipeline::Pipeline;
use crate::plan::Patience;
use stamp::{Counts, Path, RunId, Stage, clock};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often the counters are read.
const PERIOD: Duration = Duration::from_millis(20);

/// For how long nothing has moved where a part of the pipeline has ended, and what lay behind it has arrived.
const STILL_WHEN_CUT: Duration = Duration::from_secs(1);

/// How a drain ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drained {
    /// How long it took: to the last movement, where nothing moved any more.
    pub(crate) took: Duration,
    pub(crate) end: End,
    /// Messages that had arrived by then, duplicates apart.
    pub(crate) arrived: u64,
}

/// Why a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Every accepted message has passed every stage.
    Complete,
    /// Nothing moved any more.
    Still,
    /// The same, and a part of the pipeline has ended.
    Cut,
    /// It took too long, and messages still moved.
    Moving,
}

impl Drained {
    /// Why it was given up; nothing where all has arrived.
    pub(crate) fn given_up(&self, patience: Patience) -> Option<String> {
        let time = |duration| humantime::format_duration(duration);
        match self.end {
            End::Complete => None,
            End::Still => Some(format!("nothing has moved for {}", time(patience.still))),
            End::Cut => Some("nothing moves any more, as a part of the pipeline has ended".to_owned()),
            End::Moving => Some(format!("messages still arrive after {} (--drain-limit)", time(patience.whole))),
        }
    }
}

/// Waits until `accepted` messages of the run have passed every stage after the load generator's own, or until
/// `patience` ends.
/// Fails when the log store fails.
pub(crate) async fn drain(
    pipeline: &mut Pipeline,
    run: &RunId,
    path: &Path,
    accepted: u64,
    patience: Patience,
) -> Result<Drained, ExperimentError> {
    let begin = clock::now();
    let mut moved = begin;
    let mut last = Counts::default();
    loop {
        // What has arrived is kept, whatever has ended.
        pipeline.lost_part();
        let counts = pipeline.counts(run).await?;
        let now = clock::now();
        let arrived = arrived(&counts, path);
        let drained = |until: Instant, end| Ok(Drained { took: until.duration_since(begin), end, arrived });
        // What was enqueued although its answer was lost on the way arrives, too.
        if is_complete(&counts, path, accepted.max(counts.get(Stage::ENQUEUE.as_str()))) {
            return drained(now, End::Complete);
        }
        if counts != last {
            (last, moved) = (counts, now);
        }
        let (still, end) = if pipeline.is_cut() {
            (STILL_WHEN_CUT.min(patience.still), End::Cut)
        } else {
            (patience.still, End::Still)
        };
        if now.duration_since(moved) >= still {
            return drained(moved, end);
        }
        if now.duration_since(begin) >= patience.whole {
            return drained(now, End::Moving);
        }
        sleep(PERIOD).await;
    }
}

/// A stamp is in the log store before the message is counted there: once the counts are complete, so are the stamps.
fn is_complete(counts: &Counts, path: &Path, accepted: u64) -> bool {
    let stages = path.stages();
    let passed =
        stages.iter().filter(|stage| **stage != Stage::SEND).all(|stage| counts.get(stage.as_str()) >= accepted);
    passed && arrived(counts, path) >= accepted
}

/// Messages that have arrived, duplicates apart.
fn arrived(counts: &Counts, path: &Path) -> u64 {
    let last = path.stages().last().map_or(0, |last| counts.get(last.as_str()));
    last.saturating_sub(counts.get("duplicates"))
}
