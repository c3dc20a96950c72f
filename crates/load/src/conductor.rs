//! Brings users into a load and out of it, and says when measuring begins and ends.

use crate::load_plan::{Around, LIVE_PERIOD, LoadPlan, Pacing, Tracing};
use crate::pace::Pace;
use crate::program::mixed;
use crate::schedule::Schedule;
use crate::segment::Segment;
use crate::shared::{Lane, Shared};
use crate::table::Table;
use crate::user::User;
use crate::{Live, LoadError, Second, Snapshot, Tally};
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
    kinds: Vec<usize>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

impl Users {
    /// Lets the next user begin at a moment, if there may be more; the first round of a paced one is due `offset` later.
    fn begin(&self, at: Instant, offset: Duration) {
        let number = self.tasks.borrow().len();
        if let Some(&kind) = self.kinds.get(number) {
            let user = User::new(u32::try_from(number).unwrap_or(u32::MAX), kind, self.shared.clone());
            self.tasks.borrow_mut().push(spawn_local(user.run(at, offset)));
        }
    }

    /// Lets so many more begin now, as far as there are any.
    fn begin_more(&self, number: usize) {
        let left = self.kinds.len().saturating_sub(self.tasks.borrow().len());
        (0..number.min(left)).for_each(|_| self.begin(clock::now(), Duration::ZERO));
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
/// Fails when the system gives no timer.
pub(crate) async fn conduct(
    plan: LoadPlan,
    tracing: Option<Tracing>,
    live: watch::Sender<Live>,
) -> Result<Tally, LoadError> {
    let segment = plan.segment;
    let schedule = match plan.pacing {
        Pacing::Open { rate, arrivals, .. } => Some(Schedule::new(rate, arrivals, plan.ramp, plan.seed, segment)),
        Pacing::Closed | Pacing::Stages(_) => None,
    };
    let of_each: Vec<u32> = segment.all().map(|segment| most_users(&plan, segment)).collect();
    let counts = plan.program.counts_of(&of_each);
    let limit = plan.limit.map(|limit| share_of(limit.number(), &plan, segment, &of_each));
    let pace = Pace::new(limit, schedule, plan.together.as_ref().map(|together| together.fence.clone()));
    let shared = Rc::new(Shared::new(&plan, tracing, pace, &counts));
    let kinds = mixed(&counts[segment.index as usize]).collect();
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
    if let Some(together) = &plan.together {
        shared.agenda.until(|| together.begin.min(shared.pace.end())).await;
    }
    let telling = spawn_local(tell(shared.clone(), live));

    let begin = Rc::new(Cell::new(Begin::now()));
    // What is meant to happen at a moment counts from there.
    let first = plan.together.as_ref().map_or(begin.get().at, |together| together.begin);
    begin.set(Begin { at: first, ..begin.get() });
    let late = clock::now().saturating_duration_since(first);
    let measured = shared.lane();
    let mut switching = None;
    if let Some(around) = beginning(&plan) {
        shared.switch(shared.around.clone());
        begin_users(&plan, &users, first);
        let there = async {
            while shared.there.get() < segment.users(plan.users) {
                shared.arrived.notified().await;
            }
            match &plan.together {
                Some(together) => together.gate.pass().await,
                None => clock::now(),
            }
        };
        let now = until.run_until_cancelled(there).await.unwrap_or_else(clock::now);
        shared.pace.begin(now, around.warmup + plan.duration);
        let from = now + around.warmup;
        switching = Some(spawn_local(measure_from(from, shared.clone(), measured.clone(), begin.clone())));
    } else {
        shared.pace.begin(first, plan.duration);
        shared.pace.count();
        begin_users(&plan, &users, first);
    }
    shared.pace.conduct(|short| users.begin_more(short)).await.map_err(LoadError::Timer)?;
    if let Pacing::Stages(stages) = &plan.pacing {
        adapt(plan.users, stages, &users, segment).await;
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
        Pacing::Stages(stages) => {
            segment.users(stages.iter().map(|(users, _)| *users).max().unwrap_or(0).max(plan.users))
        }
        _ => u32::try_from(number).unwrap_or(u32::MAX),
    };
    let mut tally = result(&shared, &measured, begin.get(), number);
    tally.late = plan.together.is_some().then_some(late);
    if plan.around.is_some() {
        let around = shared.around.tally.replace(Tally::new());
        tally.around = Some(Box::new(Tally { duration: begin.get().at.duration_since(first), ..around }));
    }
    Ok(tally)
}

/// What users do before they are measured. Where so many rounds, or rows, are all that there is, none of them are of it, unless users come one after the
/// other, start with something or warm up: all generators of a load begin at one moment then.
fn beginning(plan: &LoadPlan) -> Option<&Around> {
    let program = &plan.program;
    let counted = plan.limit.is_some() || program.tables.iter().any(Table::is_used_up);
    let starts = program.kinds.iter().any(|kind| !kind.on_start.is_empty());
    let waits = |around: &&Around| around.spawn.is_some() || !around.warmup.is_zero();
    plan.around.as_ref().filter(|around| !counted || starts || waits(around))
}

/// How many of all requests, or rounds, are this generator's: of a schedule each has every so-manieth, else they are shared out by users.
fn share_of(all: u64, plan: &LoadPlan, segment: Segment, of_each: &[u32]) -> u64 {
    if matches!(plan.pacing, Pacing::Open { .. }) {
        return segment.count(all);
    }
    let sum = |some: &[u32]| some.iter().map(|&users| u128::from(users)).sum::<u128>();
    let before = |index: usize| u128::from(all) * sum(&of_each[..index]) / sum(of_each).max(1);
    let index = segment.index as usize;
    u64::try_from(before(index + 1) - before(index)).unwrap_or(u64::MAX)
}

/// The most users that a generator ever has.
fn most_users(plan: &LoadPlan, segment: Segment) -> u32 {
    match &plan.pacing {
        Pacing::Closed => segment.users(plan.users),
        // Without one, what is due would never be sent.
        Pacing::Open { max_users, .. } => segment.users(*max_users).max(1),
        // Whoever has left does not come back: another one begins instead.
        Pacing::Stages(stages) => rises(plan.users, stages, segment),
    }
}

/// Lets the first users begin: all at once, so many a second, or over the ramp of a closed loop.
fn begin_users(plan: &LoadPlan, users: &Users, from: Instant) {
    let spawn = plan.around.as_ref().and_then(|around| around.spawn);
    for number in 0..plan.segment.users(plan.users) {
        let place = f64::from(plan.segment.place(number));
        let share = place / f64::from(plan.users);
        let after = match (&plan.pacing, spawn) {
            (_, Some(spawn)) => Duration::from_secs_f64(place / spawn),
            (Pacing::Closed, None) => plan.ramp.mul_f64(share),
            _ => Duration::ZERO,
        };
        // Paced users who all begin at once would all send at once, again and again.
        let kind = users.kinds.get(number as usize).and_then(|&kind| plan.program.kinds.get(kind));
        let pace = kind.and_then(|kind| kind.pace).filter(|_| spawn.is_none());
        users.begin(from + after, pace.map_or(Duration::ZERO, |pace| pace.mul_f64(share)));
    }
}

/// From a moment on, what happens is measured.
async fn measure_from(from: Instant, shared: Rc<Shared>, measured: Rc<Lane>, begin: Rc<Cell<Begin>>) {
    if shared.pause(from).await || from <= clock::now() {
        begin.set(Begin { at: from, ..Begin::now() });
        shared.switch(measured);
        shared.pace.count();
    }
}

/// All users that ever begin, where those who have left do not come back.
fn rises(users: u32, stages: &[(u32, Duration)], segment: Segment) -> u32 {
    let mut before = segment.users(users);
    let first = before;
    let rise = |&(to, _): &(u32, Duration)| {
        let to = segment.users(to);
        let rise = to.saturating_sub(before);
        before = to;
        rise
    };
    first + stages.iter().map(rise).sum::<u32>()
}

/// Changes the number of users as the stages say, until the end of the load.
async fn adapt(from: u32, stages: &[(u32, Duration)], users: &Users, segment: Segment) {
    let shared = &users.shared;
    let (begin, mut now_there) = (shared.pace.begun(), segment.users(from));
    while clock::now() < shared.pace.end() {
        let wanted = segment.users(wanted(from, stages, clock::now().saturating_duration_since(begin)));
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
    tally.connections = users.saturating_sub(shared.unstarted.get());
    tally.cpu = thread_cpu().zip(begin.cpu).map(|(after, before)| after.saturating_sub(before));
    tally
}

/// Renews the live figures, and writes the time series.
pub(crate) async fn tell(shared: Rc<Shared>, live: watch::Sender<Live>) {
    let mut period = tokio::time::interval(LIVE_PERIOD);
    period.tick().await;
    let mut errors_before = 0;
    let wants_total = live.borrow().snapshot.is_some();
    loop {
        for number in 1..=LIVE_PERIODS_PER_SECOND {
            period.tick().await;
            let mut recent = shared.recent.borrow_mut();
            let snapshot = (wants_total && number == LIVE_PERIODS_PER_SECOND).then(|| Arc::new(so_far(&shared)));
            let _ = live.send(Live { snapshot, ..Live::of(&recent, LIVE_PERIOD) });
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
fn so_far(shared: &Shared) -> Snapshot {
    let (tally, connections) = (shared.lane().tally.borrow().clone(), shared.there.get());
    Snapshot {
        tally: Tally { missed: shared.pace.missed(), connections, cpu: thread_cpu(), accepted_ids: None, ..tally },
        in_flight: shared.in_flight.get(),
        users: shared.here.get(),
        is_around: shared.is_around(),
        generators: Vec::new(),
    }
}

/// CPU time of this thread so far; Linux tells it to the nanosecond.
fn thread_cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(stat.split(' ').next()?.parse().ok()?))
}
