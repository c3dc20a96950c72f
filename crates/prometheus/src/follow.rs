//! Follows the stamps of a run while it grows.

use super::board::Board;
use live::Looks;
use stamp::{LogStore, Path, RunId};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// From one look to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// A log store that takes longer for a look is away: what it lacks comes with the next one.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Brings the stamps of one run to the board, once a second.
#[derive(Debug)]
pub(super) struct Following {
    ended: CancellationToken,
    task: JoinHandle<()>,
}

impl Following {
    pub(super) fn start(log: &LogStore, run: &RunId, path: &Path, board: &Board) -> Self {
        let (mut looks, board) = (Looks::new(log, run, path), board.clone());
        let ended = CancellationToken::new();
        let stop = ended.clone();
        let task = tokio::spawn(async move {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut goes_on = true;
            while goes_on {
                goes_on = stop.run_until_cancelled(ticks.tick()).await.is_some();
                let _ = timeout(ANSWERS_WITHIN, looks.look(|stage, stamps| board.take(stage, stamps))).await;
            }
        });
        Self { ended, task }
    }

    /// Looks once more: what has been drained is complete then.
    pub(super) async fn stop(self) {
        self.ended.cancel();
        let _ = self.task.await;
    }
}
