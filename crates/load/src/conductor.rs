//! Brings users into a load and out of it, and says when measuring begins and ends.

use crate::load_plan::{LIVE_PERIOD, LoadPlan, Pacing, Tracing};
use crate::pace::Pace;
use crate::schedule::Schedule;
use crate::shared::{Lane, Shared};
use crate::user::User;
use crate::{Live, LoadError, Second, Tally, Totals};
use stamp::clock;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

/// Live periods that make a second of the time series.
const LIVE_PERIODS_PER_SECOND: u32 = 4;

/// How long a load that is told to end early waits for the answers to what it has sent, unless it says otherwise.
const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// How often the number of users is adapted in stages.
const ADAPT: Duration = Duration::from_millis(50);

/// The users of a load.
struct Users {
    shared: Rc<Shared>,
    /// The kind of each.
    kinds: Vec<u16>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

impl Users {
    /// Lets the next user begin at a moment, if there may be more; the first round of a paced one is due `offset` later.
    fn begin(&self, at: Instant, offset: Duration) {
        let number = self.tasks.borrow().len();
        if let Some(&kind) = self.kinds.get(number) {
            let user = User::new(u32::try_from(number).unwrap_or(u32::MAX), kind.into(), self.shared.clone());
            self.tasks.borrow_mut().push(spawn_local(user.run(at, offset)));
        }
    }
}

/// When measuring began, and what CPU time this thread had taken by then.
#[derive(Debug, Clone, Copy)]
struct Begin {
    at: Instant,
    cpu: Option<Duration>,
}

impl Begin {
    fn now() -> Self {
        Self { at: clock::now(), cpu: thread_cpu() }
    }
}

/// Runs a load on this thread.
///
/// # Errors
/// When the system gives no timer.
pub(crate) async fn conduct(
    plan: LoadPlan,
    tracing: Option<Tracing>,
    live: watch::Sender<Live>,
) -> Result<Tally, LoadError> {
    let schedule = match plan.pacing {
        Pacing::Open { rate, arrivals, .. } => Some(Schedule::new(rate, arrivals, plan.ramp, plan.seed)),
        Pacing::Closed | Pacing::Stages(_) => None,
    };
    let most = match &plan.pacing {
        Pacing::Closed => plan.users,
        Pacing::Open { max_users, .. } => *max_users,
        // Whoever has left does not come back: another one begins instead.
        Pacing::Stages(stages) => rises(plan.users, stages),
    };
    let pace = Pace::new(plan.limit.map(crate::Limit::number), schedule);
    let shared = Rc::new(Shared::new(&plan, tracing, pace));
    let kinds = plan.program.kinds_of(most);
    let users = Users { shared: shared.clone(), kinds, tasks: RefCell::default() };
    let until = plan.until.clone().unwrap_or_default();
    let stopping = {
        let (shared, until) = (shared.clone(), until.clone());
        spawn_local(async move {
            until.cancelled().await;
            shared.pace.stop();
            shared.agenda.wake_all();
        })
    };
    let waking = {
        let shared = shared.clone();
        spawn_local(async move { shared.agenda.conduct().await })
    };
    let telling = spawn_local(tell(shared.clone(), live));

    let begin = Rc::new(Cell::new(Begin::now()));
    let first = begin.get().at;
    let measured = shared.lane();
    let mut switching = None;
    if let Some(around) = &plan.around {
        shared.switch(shared.around.clone());
        begin_users(&plan, &users);
        let there = async {
            while shared.there.get() < plan.users {
                shared.arrived.notified().await;
            }
        };
        until.run_until_cancelled(there).await;
        let now = clock::now();
        shared.pace.begin(now, around.warmup + plan.duration);
        let from = now + around.warmup;
        switching = Some(spawn_local(measure_from(from, shared.clone(), measured.clone(), begin.clone())));
    } else {
        shared.pace.begin(first, plan.duration);
        begin_users(&plan, &users);
    }
    let short = |short: usize| (0..short).for_each(|_| users.begin(clock::now(), Duration::ZERO));
    shared.pace.conduct(short).await.map_err(LoadError::Timer)?;
    if let Pacing::Stages(stages) = &plan.pacing {
        adapt(plan.users, stages, &users).await;
    }

    let mut tasks = users.tasks.into_inner();
    let number = tasks.len();
    let ended = async {
        for user in &mut tasks {
            // A user that panicked has printed why; the others still count.
            let _ = user.await;
        }
    };
    let given_up = async {
        if let Some(within) = plan.stop_within {
            shared.agenda.until(|| shared.pace.end()).await;
            sleep(within).await;
        } else {
            until.cancelled().await;
            sleep(LAST_ANSWERS_WITHIN).await;
        }
    };
    tokio::select! { () = ended => {}, () = given_up => shared.give_up() }
    tasks.iter().for_each(JoinHandle::abort);
    for task in [Some(telling), Some(stopping), switching].into_iter().flatten() {
        task.abort();
    }
    waking.abort();
    let number = match plan.pacing {
        Pacing::Stages(stages) => stages.iter().map(|(users, _)| *users).max().unwrap_or(0).max(plan.users),
        _ => u32::try_from(number).unwrap_or(u32::MAX),
    };
    let mut tally = result(&shared, &measured, begin.get(), number);
    if plan.around.is_some() {
        let around = shared.around.tally.replace(Tally::new());
        tally.around = Some(Box::new(Tally { duration: begin.get().at.duration_since(first), ..around }));
    }
    Ok(tally)
}

/// Lets the first users begin: all at once, so many a second, or over the ramp of a closed loop.
fn begin_users(plan: &LoadPlan, users: &Users) {
    let now = clock::now();
    let spawn = plan.around.as_ref().and_then(|around| around.spawn);
    for number in 0..plan.users {
        let share = f64::from(number) / f64::from(plan.users);
        let after = match (&plan.pacing, spawn) {
            (_, Some(spawn)) => Duration::from_secs_f64(f64::from(number) / spawn),
            (Pacing::Closed, None) => plan.ramp.mul_f64(share),
            _ => Duration::ZERO,
        };
        // Paced users who all begin at once would all send at once, again and again.
        let kind = users.kinds.get(number as usize).and_then(|&kind| plan.program.kinds.get(usize::from(kind)));
        let pace = kind.and_then(|kind| kind.pace).filter(|_| spawn.is_none());
        users.begin(now + after, pace.map_or(Duration::ZERO, |pace| pace.mul_f64(share)));
    }
}

/// From a moment on, what happens is measured.
async fn measure_from(from: Instant, shared: Rc<Shared>, measured: Rc<Lane>, begin: Rc<Cell<Begin>>) {
    if shared.pause(from).await || from <= clock::now() {
        begin.set(Begin { at: from, ..Begin::now() });
        shared.switch(measured);
    }
}

/// All users that ever begin, where those who have left do not come back.
fn rises(users: u32, stages: &[(u32, Duration)]) -> u32 {
    let mut before = users;
    let rise = |&(to, _): &(u32, Duration)| {
        let rise = to.saturating_sub(before);
        before = to;
        rise
    };
    users + stages.iter().map(rise).sum::<u32>()
}

/// Changes the number of users as the stages say, until the end of the load.
async fn adapt(from: u32, stages: &[(u32, Duration)], users: &Users) {
    let shared = &users.shared;
    let (begin, mut now_there) = (clock::now(), from);
    while clock::now() < shared.pace.end() {
        let wanted = wanted(from, stages, clock::now().duration_since(begin));
        for _ in now_there..wanted {
            users.begin(clock::now(), Duration::ZERO);
        }
        shared.leaving.set(shared.leaving.get() + now_there.saturating_sub(wanted));
        now_there = wanted;
        shared.pause(clock::now() + ADAPT).await;
    }
}

/// How many users there are to be so long after the beginning.
fn wanted(from: u32, stages: &[(u32, Duration)], after: Duration) -> u32 {
    let (mut before, mut left) = (f64::from(from), after);
    for &(to, over) in stages {
        let to = f64::from(to);
        if left < over {
            let wanted = before + (to - before) * left.as_secs_f64() / over.as_secs_f64();
            // It lies between two numbers of users.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            return wanted.round() as u32;
        }
        (before, left) = (to, left.saturating_sub(over));
    }
    stages.last().map_or(from, |&(to, _)| to)
}

/// What was measured.
fn result(shared: &Shared, measured: &Lane, begin: Begin, users: u32) -> Tally {
    let (now, sent) = (clock::now(), shared.sending_ended());
    let mut tally = measured.tally.replace(Tally::new());
    (tally.duration, tally.waited) = (sent.saturating_duration_since(begin.at), now.duration_since(sent));
    tally.missed = shared.pace.missed();
    tally.connections = users;
    tally.cpu = thread_cpu().zip(begin.cpu).map(|(after, before)| after.saturating_sub(before));
    tally
}

/// Renews the live figures, and writes the time series.
pub(crate) async fn tell(shared: Rc<Shared>, live: watch::Sender<Live>) {
    let mut period = tokio::time::interval(LIVE_PERIOD);
    period.tick().await;
    let mut errors_before = 0;
    let wants_total = live.borrow().total.is_some();
    loop {
        for number in 1..=LIVE_PERIODS_PER_SECOND {
            period.tick().await;
            let mut recent = shared.recent.borrow_mut();
            let total = (wants_total && number == LIVE_PERIODS_PER_SECOND).then(|| Arc::new(totals(&shared)));
            let _ = live.send(Live { total, ..Live::of(&recent, LIVE_PERIOD) });
            // The histogram has the same bounds, so that this cannot fail.
            let _ = shared.second.borrow_mut().add(&*recent);
            recent.reset();
        }
        let lane = shared.lane();
        let mut tally = lane.tally.borrow_mut();
        let errors = tally.failed();
        // What is measured may have begun anew.
        let second = Second::of(&shared.second.borrow(), errors.saturating_sub(errors_before), shared.in_flight.get());
        tally.series.push(second);
        shared.second.borrow_mut().reset();
        errors_before = errors;
    }
}

/// The load so far.
fn totals(shared: &Shared) -> Totals {
    Totals {
        in_flight: shared.in_flight.get(),
        users: shared.here.get(),
        is_around: shared.is_around(),
        waiting: shared.pace.missed(),
        cpu: thread_cpu(),
        ..Totals::of(&shared.lane().tally.borrow())
    }
}

/// CPU time of this thread so far; Linux tells it to the nanosecond.
fn thread_cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(stat.split(' ').next()?.parse().ok()?))
}
