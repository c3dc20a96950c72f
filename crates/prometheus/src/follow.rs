//! Follows the stamps of a run while it grows.

use super::board::Board;
use stamp::{LogStore, Path, RunId, Stage, Stamp};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// From one look to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// Brings the stamps of one run to the board, once a second.
#[derive(Debug)]
pub(super) struct Following {
    ended: CancellationToken,
    task: JoinHandle<()>,
}

impl Following {
    pub(super) fn start(log: &LogStore, run: &RunId, path: &Path, board: &Board) -> Self {
        let stages = path.stages().iter().map(|stage| (stage.clone(), 0)).collect();
        let mut looks = Looks { log: log.clone(), run: run.clone(), stages, board: board.clone() };
        let ended = CancellationToken::new();
        let stop = ended.clone();
        let task = tokio::spawn(async move {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                looks.look().await;
            }
            looks.look().await;
        });
        Self { ended, task }
    }

    /// Looks once more: what has been drained is complete then.
    pub(super) async fn stop(self) {
        self.ended.cancel();
        let _ = self.task.await;
    }
}

struct Looks {
    log: LogStore,
    run: RunId,
    /// Each stage with the number of entries that have been read of its list.
    stages: Vec<(Stage, usize)>,
    board: Board,
}

impl Looks {
    /// Reads what has come since, as much as one round trip for each stage brings: where 1 in 1 is stamped it falls behind rather than
    /// take the load's processor. A log store that is away is told of by the sweep itself.
    async fn look(&mut self) {
        let mut stamps = Vec::new();
        for (index, (stage, read)) in self.stages.iter_mut().enumerate() {
            stamps.clear();
            let take = |entry: &[u8]| stamps.extend(Stamp::parse(entry));
            if let Ok(taken) = self.log.entries_from(&self.run, stage, *read, take).await {
                *read += taken;
                self.board.take(index, &stamps);
            }
        }
    }
}
