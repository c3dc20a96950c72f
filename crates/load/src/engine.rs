//! The thread that generates the load.

use crate::conductor::conduct;
use crate::load_plan::{LoadPlan, Tracing};
use crate::{Live, LoadError, Snapshot, Tally};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

/// Runs the load on a thread of its own. Dropping the future ends the load at once.
///
/// # Errors
/// When the thread cannot be started, or fails.
pub async fn generate(plan: LoadPlan, tracing: Option<Tracing>, live: watch::Sender<Live>) -> Result<Tally, LoadError> {
    let program = plan.program.clone();
    let around = plan.around.as_ref().and_then(|around| around.tracing.clone());
    let dropped = CancellationToken::new();
    let guard = dropped.clone().drop_guard();
    let (done, result) = oneshot::channel();
    let counted = tracing.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LoadError::Start)?;
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            let users = LocalSet::new();
            let load = users.run_until(conduct(plan, tracing, live));
            let tally = runtime.block_on(async {
                tokio::select! { tally = load => Some(tally), () = dropped.cancelled() => None }
            });
            if let Some(tally) = tally {
                let _ = done.send(tally);
            }
        })
        .map_err(LoadError::Start)?;
    let tally = result.await.map_err(|_| LoadError::Panicked)??;
    if let Some(tracing) = counted {
        tracing.count(tally.accepted_messages(&program));
    }
    if let (Some(around), Some(tracing)) = (&tally.around, around) {
        tracing.count(around.accepted_messages(&program));
    }
    guard.disarm();
    Ok(tally)
}

/// Runs the load, and tells its last moments every [`LIVE_PERIOD`](crate::LIVE_PERIOD); with `totals` once a second also the whole load so far, and once more at its end.
///
/// # Errors
/// As those of [`generate`].
pub async fn watched(
    plan: LoadPlan,
    tracing: Option<Tracing>,
    totals: bool,
    mut tell: impl AsyncFnMut(&Live),
) -> Result<Tally, LoadError> {
    let (sender, mut live) = watch::channel(Live { snapshot: totals.then(Arc::default), ..Live::default() });
    let generating = generate(plan, tracing, sender);
    tokio::pin!(generating);
    let tally = loop {
        tokio::select! {
            tally = &mut generating => break tally?,
            Ok(()) = live.changed() => {
                let now = live.borrow_and_update().clone();
                tell(&now).await;
            }
        }
    };
    if totals {
        tell(&Live { snapshot: Some(Arc::new(Snapshot::of(&tally))), ..Live::default() }).await;
    }
    Ok(tally)
}
