//! A load as data, and the thread that generates it.

use crate::conductor::conduct;
use crate::program::Program;
use crate::schedule::Arrivals;
use crate::show::Shown;
use crate::{Live, LoadError, Tally, Totals};
use stamp::{CounterHandle, RunId, RunTrace, Stage, StageHandle, Tracer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

/// How often the live figures are renewed.
pub const LIVE_PERIOD: Duration = Duration::from_millis(250);

/// One load.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// What users do.
    pub program: Arc<Program>,
    /// The run that messages carry which say so.
    pub run: String,
    /// When.
    pub pacing: Pacing,
    /// Users at the start: in a load of a single request, connections.
    pub users: u32,
    /// How long.
    pub duration: Duration,
    /// The load ends earlier when so much has been sent.
    pub limit: Option<Limit>,
    /// The load ends earlier when this is cancelled.
    pub until: Option<CancellationToken>,
    /// Whether the ids of accepted messages are kept.
    pub keep_ids: bool,
    /// Ramp-up time: a closed loop begins its users over it, an open loop reaches its rate.
    pub ramp: Duration,
    /// What comes before the measured time, and users' starts and stops. Absent: all is measured.
    pub around: Option<Around>,
    /// How long what is under way at the end may go on. Absent: until it is answered, or for a second after a load that is ended early.
    pub stop_within: Option<Duration>,
    /// Seed of everything random.
    pub seed: u64,
    /// Whoever wants to see each request and its answer.
    pub show: Option<mpsc::UnboundedSender<Shown>>,
}

/// What ends a load by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Requests.
    Requests(u64),
    /// Rounds.
    Rounds(u64),
}

impl Limit {
    pub(crate) fn is_of_requests(self) -> bool {
        matches!(self, Self::Requests(_))
    }

    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Requests(number) | Self::Rounds(number) => number,
        }
    }
}

/// What is not part of the measured time: it begins when all users are there and the warm-up is over.
#[derive(Debug, Clone)]
pub struct Around {
    /// The run that messages of this time carry.
    pub run: String,
    /// Where they are stamped.
    pub tracing: Option<Tracing>,
    /// Users that begin a second; absent: all at once.
    pub spawn: Option<f64>,
    /// How long users go through rounds before it counts.
    pub warmup: Duration,
}

/// What decides when a round begins.
#[derive(Debug, Clone)]
pub enum Pacing {
    /// The end of the one before.
    Closed,
    /// A schedule.
    Open {
        /// Rounds a second.
        rate: f64,
        /// How they are spaced.
        arrivals: Arrivals,
        /// Users grow up to this number where they are all busy.
        max_users: u32,
    },
    /// The end of the one before, while the number of users changes to each of these over the time beside it.
    Stages(Vec<(u32, Duration)>),
}

/// Where the generator stamps what it sends.
#[derive(Debug, Clone)]
pub struct Tracing {
    /// The run that the messages belong to.
    pub run: RunTrace,
    /// The stage of the intended send.
    pub send: StageHandle,
    /// The counter of accepted messages.
    pub accepted: CounterHandle,
}

impl Tracing {
    /// Stamps of `run`.
    #[must_use]
    pub fn new(tracer: &Tracer, run: &RunId) -> Self {
        Self { run: tracer.run(run.as_str()), send: tracer.stage(&Stage::SEND), accepted: tracer.counter("accepted") }
    }

    /// Counts messages that were accepted.
    fn count(&self, accepted: u64) {
        self.run.count(self.accepted, accepted);
    }
}

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

/// Runs the load, and tells its last moments every [`LIVE_PERIOD`]; with `totals` also the whole load so far, and once more at its end.
///
/// # Errors
/// As those of [`generate`].
pub async fn watched(
    plan: LoadPlan,
    tracing: Option<Tracing>,
    totals: bool,
    mut tell: impl AsyncFnMut(&Live),
) -> Result<Tally, LoadError> {
    let (sender, mut live) = watch::channel(Live { total: totals.then(Arc::default), ..Live::default() });
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
        tell(&Live { total: Some(Arc::new(Totals::of(&tally, 0))), ..Live::default() }).await;
    }
    Ok(tally)
}
