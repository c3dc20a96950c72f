//! The thread that generates the load.

use crate::load::connection::{Connection, Shared};
use crate::load::{Live, Tally, Target, Template};
use anyhow::Context;
use stamp::{CounterHandle, RunId, RunTrace, Stage, StageHandle, Tracer, clock};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

/// How often the live figures are renewed.
const LIVE_PERIOD: Duration = Duration::from_millis(250);

/// One load.
#[derive(Debug, Clone)]
pub(crate) struct LoadPlan {
    pub(crate) target: Target,
    pub(crate) template: Template,
    pub(crate) connections: u16,
    pub(crate) duration: Duration,
    /// How long a request may take.
    pub(crate) timeout: Duration,
}

/// Where the generator stamps what it sends.
#[derive(Debug, Clone)]
pub(crate) struct Tracing {
    pub(crate) run: RunTrace,
    pub(crate) send: StageHandle,
    pub(crate) accepted: CounterHandle,
}

impl Tracing {
    pub(crate) fn new(tracer: &Tracer, run: &RunId) -> Self {
        Self { run: tracer.run(run.as_str()), send: tracer.stage(&Stage::SEND), accepted: tracer.counter("accepted") }
    }
}

/// Runs the load on a thread of its own. Dropping the future ends the load at once.
///
/// # Errors
/// When the target's name cannot be resolved or the thread cannot be started.
pub(crate) async fn generate(
    plan: LoadPlan,
    tracing: Option<Tracing>,
    live: watch::Sender<Live>,
) -> anyhow::Result<Tally> {
    let addresses = plan.target.addresses().await?;
    let dropped = CancellationToken::new();
    let guard = dropped.clone().drop_guard();
    let (done, result) = oneshot::channel();
    let counted = tracing.clone();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the generator")?;
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            let connections = LocalSet::new();
            let load = connections.run_until(run(plan, addresses, tracing, live));
            let tally = runtime.block_on(async {
                tokio::select! { tally = load => Some(tally), () = dropped.cancelled() => None }
            });
            if let Some(tally) = tally {
                let _ = done.send(tally);
            }
        })
        .context("cannot start the generator's thread")?;
    let tally = result.await.context("the generator's thread panicked")?;
    if let Some(tracing) = counted {
        tracing.run.count(tracing.accepted, tally.accepted());
    }
    guard.disarm();
    Ok(tally)
}

async fn run(plan: LoadPlan, addresses: Vec<SocketAddr>, tracing: Option<Tracing>, live: watch::Sender<Live>) -> Tally {
    let begin = clock::now();
    let shared = Rc::new(Shared::new(&plan, addresses, tracing, begin));
    let connections: Vec<_> = (0..plan.connections)
        .map(|number| tokio::task::spawn_local(Connection::new(number, shared.clone()).run()))
        .collect();
    let telling = {
        let shared = shared.clone();
        tokio::task::spawn_local(async move {
            let mut period = tokio::time::interval(LIVE_PERIOD);
            period.tick().await;
            loop {
                period.tick().await;
                let _ = live.send(Live::of(&shared.recent.borrow(), LIVE_PERIOD));
                shared.recent.borrow_mut().reset();
            }
        })
    };
    for connection in connections {
        // A connection that panicked has printed why; the others still count.
        let _ = connection.await;
    }
    telling.abort();
    let mut tally = shared.tally.replace(Tally::new());
    tally.duration = clock::now().duration_since(begin);
    tally
}
