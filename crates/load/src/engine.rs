//! The thread that generates the load.

use crate::connection::{Connection, Shared};
use crate::pace::Pace;
use crate::schedule::{Arrivals, Schedule};
use crate::{Endpoint, Live, LoadError, Second, StatusSet, Tally, Template, Totals};
use stamp::{CounterHandle, RunId, RunTrace, Stage, StageHandle, Tracer, clock};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

/// How often the live figures are renewed, and how many of these make a second of the time series.
pub const LIVE_PERIOD: Duration = Duration::from_millis(250);
const LIVE_PERIODS_PER_SECOND: u32 = 4;

/// How long a load that is told to end early waits for the answers to what it has sent.
const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// One load.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// Where connections go.
    pub endpoint: Endpoint,
    /// What is sent.
    pub template: Template,
    /// When.
    pub pacing: Pacing,
    /// Connections at the start.
    pub connections: u16,
    /// How long.
    pub duration: Duration,
    /// The load ends earlier when so many requests have been sent.
    pub requests: Option<u64>,
    /// The load ends earlier when this is cancelled.
    pub until: Option<CancellationToken>,
    /// Whether the ids of accepted messages are kept.
    pub keep_ids: bool,
    /// Ramp-up time: a closed loop opens its connections over it, an open loop reaches its rate.
    pub ramp: Duration,
    /// How long a request may take.
    pub timeout: Duration,
    /// What counts as accepted.
    pub accept: StatusSet,
    /// Seed of everything random.
    pub seed: u64,
}

/// What decides when a request is sent.
#[derive(Debug, Clone)]
pub enum Pacing {
    /// The answer to the one before, and a pause between these bounds.
    Closed {
        /// The shortest and the longest pause; without, there is none.
        think: Option<(Duration, Duration)>,
    },
    /// A schedule.
    Open {
        /// Requests a second.
        rate: f64,
        /// How they are spaced.
        arrivals: Arrivals,
        /// Connections grow up to this where they are all busy.
        max_connections: u16,
    },
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
}

/// Runs the load on a thread of its own. Dropping the future ends the load at once.
///
/// # Errors
/// When the thread cannot be started, or fails.
pub async fn generate(plan: LoadPlan, tracing: Option<Tracing>, live: watch::Sender<Live>) -> Result<Tally, LoadError> {
    let endpoint = plan.endpoint.clone();
    let dropped = CancellationToken::new();
    let guard = dropped.clone().drop_guard();
    let (done, result) = oneshot::channel();
    let counted = tracing.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LoadError::Start)?;
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            let connections = LocalSet::new();
            let load = connections.run_until(run(plan, endpoint, tracing, live));
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
        tracing.run.count(tracing.accepted, tally.accepted());
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

async fn run(
    plan: LoadPlan,
    endpoint: Endpoint,
    tracing: Option<Tracing>,
    live: watch::Sender<Live>,
) -> Result<Tally, LoadError> {
    let (begin, cpu_before) = (clock::now(), thread_cpu());
    let end = begin + plan.duration;
    let (pace, max_connections) = match plan.pacing {
        Pacing::Closed { think } => (Pace::closed(begin, end, plan.requests, think, plan.seed), plan.connections),
        Pacing::Open { rate, arrivals, max_connections } => {
            let schedule = Schedule::new(rate, arrivals, plan.ramp, plan.seed);
            (Pace::open(begin, end, plan.requests, schedule), max_connections)
        }
    };
    let closed = matches!(plan.pacing, Pacing::Closed { .. });
    let shared = Rc::new(Shared::new(&plan, endpoint, tracing, pace));
    let until = plan.until.unwrap_or_default();
    let stopping = {
        let shared = shared.clone();
        let until = until.clone();
        spawn_local(async move {
            until.cancelled().await;
            shared.pace.stop();
        })
    };
    let connections: RefCell<Vec<JoinHandle<()>>> = RefCell::default();
    let open = |delay: Duration| {
        let number = u16::try_from(connections.borrow().len()).unwrap_or(u16::MAX);
        if number < max_connections {
            connections.borrow_mut().push(spawn_local(Connection::new(number, shared.clone()).run(delay)));
        }
    };
    for number in 0..plan.connections {
        let share = f64::from(number) / f64::from(plan.connections);
        open(if closed { plan.ramp.mul_f64(share) } else { Duration::ZERO });
    }
    let telling = spawn_local(tell(shared.clone(), live));
    shared.pace.conduct(|short| (0..short).for_each(|_| open(Duration::ZERO))).await.map_err(LoadError::Timer)?;
    let mut connections = connections.into_inner();
    let number = connections.len();
    let answered = async {
        for connection in &mut connections {
            // A connection that panicked has printed why; the others still count.
            let _ = connection.await;
        }
    };
    let given_up = async {
        until.cancelled().await;
        tokio::time::sleep(LAST_ANSWERS_WITHIN).await;
    };
    tokio::select! { () = answered => {}, () = given_up => shared.give_up() }
    connections.iter().for_each(JoinHandle::abort);
    telling.abort();
    stopping.abort();
    let mut tally = shared.tally.replace(Tally::new());
    let (now, sent) = (clock::now(), shared.sending_ended());
    (tally.duration, tally.waited) = (sent.duration_since(begin), now.duration_since(sent));
    tally.missed = shared.pace.missed();
    tally.connections = u16::try_from(number).unwrap_or(u16::MAX);
    tally.cpu = thread_cpu().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    Ok(tally)
}

/// Renews the live figures, and writes the time series.
async fn tell(shared: Rc<Shared>, live: watch::Sender<Live>) {
    let mut period = tokio::time::interval(LIVE_PERIOD);
    period.tick().await;
    let mut errors_before = 0;
    let wants_total = live.borrow().total.is_some();
    loop {
        for _ in 0..LIVE_PERIODS_PER_SECOND {
            period.tick().await;
            let mut recent = shared.recent.borrow_mut();
            let total = wants_total.then(|| Arc::new(Totals::of(&shared.tally.borrow(), shared.in_flight.get())));
            let _ = live.send(Live { total, ..Live::of(&recent, LIVE_PERIOD) });
            // The histogram has the same bounds, so that this cannot fail.
            let _ = shared.second.borrow_mut().add(&*recent);
            recent.reset();
        }
        let mut tally = shared.tally.borrow_mut();
        let errors = tally.failed();
        let second = Second::of(&shared.second.borrow(), errors - errors_before, shared.in_flight.get());
        tally.series.push(second);
        shared.second.borrow_mut().reset();
        errors_before = errors;
    }
}

/// CPU time of this thread so far; Linux tells it to the nanosecond.
fn thread_cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(stat.split(' ').next()?.parse().ok()?))
}
