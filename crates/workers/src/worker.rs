//! A worker: says that it is there, and makes parts of loads for whoever takes it.

use crate::error::WorkersError;
use crate::store::Meeting;
use crate::wire::{Document, Line, Order, Phase, Task};
use load::{Fence, Gate, Live, LoadPlan, Snapshot, Target, Together, Tracing, watched};
use serde_json::value::to_raw_value;
use stamp::{LogStore, RedisUrl, Refusal, RunId, SampleEvery, StoreError, Tracer, TracerOptions, clock, keys};
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// What workers are called in the registry.
pub(crate) const SERVICE: &str = "worker";

/// How often it looks what it is to do.
const LOOK: Duration = Duration::from_millis(250);

/// How often it says how it stands, at the least.
const SAID: Duration = Duration::from_secs(1);

/// How long the log store may take: who waits for longer asks again.
const WITHIN: Duration = Duration::from_secs(1);

/// How long what was sent may take to be written to the log store, at the end of a load.
const FLUSHED_WITHIN: Duration = Duration::from_secs(3);

/// How long a worker that is to end waits for the end of its load.
const LEAVES_WITHIN: Duration = Duration::from_secs(5);

/// What a worker is told on its command line.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The log store: where it is found, and where it stamps.
    pub log_store: RedisUrl,
    /// It stamps 1 message in so many.
    pub every: SampleEvery,
    /// It loads these and nothing else, whatever it is asked for.
    pub allow: Vec<Target>,
    /// It ends when it has been given back.
    pub once: bool,
    /// It ends when nobody has wanted it for so long.
    pub idle_limit: Option<Duration>,
}

/// What becomes of a worker.
#[derive(Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// The log store does not answer, and why.
    Away(&'a str),
    /// It is there, and waits.
    Free {
        /// Its name in the registry.
        instance: &'a str,
    },
    /// It is somebody's.
    Taken {
        /// Whose.
        by: &'a str,
    },
    /// It is to make a part of a load.
    Load {
        /// Which of its coordinator's.
        number: u64,
    },
    /// It does not make it.
    Refuses(&'a str),
    /// Its coordinator has not been heard for the time of its lease.
    Deserted {
        /// Who.
        by: &'a str,
    },
}

/// How a worker has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It was told to.
    Stopped,
    /// Its work was done.
    Released,
}

/// Is a worker until `stop`, or as its options say. Tells what becomes of it.
///
/// # Errors
/// When the log store refuses it, it ends without having been released, or nobody wants it for too long.
pub async fn serve(
    options: &WorkerOptions,
    stop: &CancellationToken,
    tell: &mut dyn FnMut(&Told<'_>),
) -> Result<Left, WorkersError> {
    let begun = clock::now();
    let log = loop {
        let Some(connected) = stop.run_until_cancelled(LogStore::connect(&options.log_store)).await else {
            return Ok(Left::Stopped);
        };
        match connected {
            Ok(log) => break log,
            Err(error) if is_refused(&error) => return Err(error.into()),
            Err(error) => {
                tell(&Told::Away(&error.to_string()));
                options.check_idle(begun)?;
            }
        }
        stop.run_until_cancelled(sleep(SAID)).await;
    };
    let loads = options.allow.iter().map(Target::origin).collect();
    let tracer_options =
        TracerOptions { every: options.every, service: SERVICE.to_owned(), loads, ..TracerOptions::default() };
    let instance = tracer_options.instance.clone();
    let tracer = Tracer::start(&options.log_store, tracer_options);
    tell(&Told::Free { instance: &instance });
    let worker =
        Worker { options, meeting: Meeting(log), tracer, instance, held: None, lines: 0, free_since: clock::now() };
    worker.run(stop, tell).await
}

/// Whether waiting is of no use: the log store is there, and does not want this user, or lets it do too little.
fn is_refused(error: &StoreError) -> bool {
    matches!(error.refusal(), Some(Refusal::Credentials | Refusal::Denied))
}

impl WorkerOptions {
    fn check_idle(&self, since: Instant) -> Result<(), WorkersError> {
        match self.idle_limit {
            Some(limit) if clock::now().duration_since(since) >= limit => {
                Err(WorkersError::Idle { limit, store: self.log_store.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Why a load is not made from here.
    fn refuses(&self, plan: &LoadPlan) -> Option<String> {
        let targets = plan.program.sites.iter().flat_map(load::Endpoint::targets);
        let allowed: Vec<String> = self.allow.iter().map(Target::origin).collect();
        not_allowed(targets, &allowed)
    }
}

/// Why a worker that may load only these does not load those; nothing where it does.
pub(crate) fn not_allowed<'t>(targets: impl IntoIterator<Item = &'t String>, allowed: &[String]) -> Option<String> {
    let refused = targets.into_iter().find(|target| !allowed.contains(target))?;
    let allowed = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
    Some(format!("may load {allowed}, and not {refused}: start it with --allow-target {refused}"))
}

struct Worker<'a> {
    options: &'a WorkerOptions,
    meeting: Meeting,
    tracer: Tracer,
    instance: String,
    held: Option<Held>,
    lines: u64,
    free_since: Instant,
}

/// That it is somebody's.
struct Held {
    coordinator: String,
    fence: Fence,
    job: Option<Job>,
    /// The load that it has stopped, as its lease had ended.
    lapsed: Option<u64>,
}

/// A part of a load.
struct Job {
    task: Task,
    state: Rc<State>,
    begin: watch::Sender<Option<Instant>>,
    gate: Gate,
    until: CancellationToken,
    work: Pin<Box<dyn Future<Output = ()>>>,
    is_done: bool,
}

/// How far it is: what it says of itself.
struct State {
    phase: Cell<Phase>,
    why: RefCell<Option<String>>,
    snapshot: RefCell<Option<Arc<Snapshot>>>,
    /// Something has changed that the coordinator waits for.
    changed: Notify,
}

impl State {
    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.changed.notify_one();
    }

    fn refuse(&self, why: String) {
        *self.why.borrow_mut() = Some(why);
        self.enter(Phase::Refused);
    }
}

impl Worker<'_> {
    async fn run(mut self, stop: &CancellationToken, tell: &mut dyn FnMut(&Told<'_>)) -> Result<Left, WorkersError> {
        let (mut said, mut is_away) = (clock::now(), false);
        loop {
            let asked = clock::now();
            match timeout(WITHIN, self.meeting.order(&self.instance)).await {
                Ok(Ok(order)) => {
                    is_away = false;
                    if let Some(left) = self.obey(order, asked, tell) {
                        self.tracer.close().await;
                        return Ok(left);
                    }
                }
                Ok(Err(error)) if self.held.is_none() && is_refused(&error) => return Err(error.into()),
                Ok(Err(error)) if !std::mem::replace(&mut is_away, true) => tell(&Told::Away(&error.to_string())),
                _ => {}
            }
            self.check_lease(tell)?;
            let is_due = clock::now().duration_since(said) >= SAID;
            let has_news = self.has_news();
            if self.held.is_some() && (is_due || has_news) {
                if let Some(why) = self.refusal().filter(|_| has_news) {
                    tell(&Told::Refuses(&why));
                }
                self.say(None).await;
                said = clock::now();
            }
            if stop.is_cancelled() {
                self.leave().await;
                return Ok(Left::Stopped);
            }
            self.work_on(stop).await;
        }
    }

    /// Works on its load until it is time to look again, or there is news.
    async fn work_on(&mut self, stop: &CancellationToken) {
        let pause = sleep(LOOK);
        let Some(job) = self.held.as_mut().and_then(|held| held.job.as_mut()) else {
            stop.run_until_cancelled(pause).await;
            return;
        };
        let state = job.state.clone();
        if job.is_done {
            stop.run_until_cancelled(pause).await;
            return;
        }
        tokio::select! {
            () = &mut job.work => job.is_done = true,
            () = pause => {}
            () = state.changed.notified() => state.changed.notify_one(),
            () = stop.cancelled() => {}
        }
    }

    fn has_news(&self) -> bool {
        let Some(job) = self.held.as_ref().and_then(|held| held.job.as_ref()) else { return false };
        // A permit is there where something has changed since it was taken.
        let mut notified = std::pin::pin!(job.state.changed.notified());
        notified.as_mut().enable()
    }

    /// Why it does not make its load.
    fn refusal(&self) -> Option<String> {
        self.held.as_ref()?.job.as_ref()?.state.why.borrow().clone()
    }

    /// Takes an order that was asked for at this moment.
    fn obey(
        &mut self,
        order: Option<(Order, Duration)>,
        asked: Instant,
        tell: &mut dyn FnMut(&Told<'_>),
    ) -> Option<Left> {
        // None at all may be one that a new log store does not know yet: the fence tells when it has become too old.
        let (order, lease) = order?;
        if order.released {
            let was_ours = self.held.take().is_some_and(|held| held.coordinator == order.coordinator);
            let is_done = was_ours && self.options.once && !order.unused;
            if was_ours && !is_done {
                self.free_since = clock::now();
                tell(&Told::Free { instance: &self.instance });
            }
            return is_done.then_some(Left::Released);
        }
        if self.held.as_ref().is_none_or(|held| held.coordinator != order.coordinator) {
            tell(&Told::Taken { by: &order.coordinator });
            let fence = Fence::at(asked + lease);
            self.held = Some(Held { coordinator: order.coordinator, fence, job: None, lapsed: None });
        }
        let mut held = self.held.take()?;
        if held.fence.has_passed() {
            // What the coordinator has renewed meanwhile came too late: others may count on its silence.
            tell(&Told::Deserted { by: &held.coordinator });
            held.lapsed = held.job.take().map(|job| job.task.load).or(held.lapsed);
            held.fence = Fence::at(asked + lease);
        }
        held.fence.move_to(asked + lease);
        held.job = match (order.task, held.job.take()) {
            (None, _) => None,
            // It has stopped, and does not go on.
            (Some(task), _) if held.lapsed == Some(task.load) => None,
            // It has begun without this one: whoever was here has lost it.
            (Some(task), None) if task.begin_us.is_some() => {
                held.lapsed = Some(task.load);
                None
            }
            (Some(task), Some(mut job)) if job.task.load == task.load => {
                job.follow(task, self.tracer.clock());
                Some(job)
            }
            (Some(task), _) => {
                tell(&Told::Load { number: task.load });
                Some(self.start(&held.coordinator, task, held.fence.clone()))
            }
        };
        self.held = Some(held);
        None
    }

    /// Whoever has not been heard for its lease has no workers any more.
    fn check_lease(&mut self, tell: &mut dyn FnMut(&Told<'_>)) -> Result<(), WorkersError> {
        if let Some(held) = self.held.take_if(|held| held.fence.has_passed()) {
            tell(&Told::Deserted { by: &held.coordinator });
            self.free_since = clock::now();
            if self.options.once {
                return Err(WorkersError::Deserted(held.coordinator));
            }
        }
        if self.held.is_none() { self.options.check_idle(self.free_since) } else { Ok(()) }
    }

    fn start(&self, coordinator: &str, task: Task, fence: Fence) -> Job {
        let state = Rc::new(State {
            phase: Cell::new(Phase::Idle),
            why: RefCell::default(),
            snapshot: RefCell::default(),
            changed: Notify::new(),
        });
        let (begin, gate, until) = (watch::Sender::new(None), Gate::default(), CancellationToken::new());
        let part = PartOf {
            document: keys::work_load(coordinator, task.load),
            log: self.meeting.0.clone(),
            options: self.options.clone(),
            tracer: self.tracer.clone(),
            segment: task.segment,
            fence,
            gate: gate.clone(),
            until: until.clone(),
        };
        let (begins, told) = (begin.subscribe(), state.clone());
        let work = Box::pin(async move {
            match part.make(begins, &told).await {
                Ok(()) => told.enter(Phase::Ended),
                Err(why) => told.refuse(why),
            }
        });
        let mut job = Job { task: task.clone(), state, begin, gate, until, work, is_done: false };
        job.follow(task, self.tracer.clock());
        job
    }

    /// Says how it stands.
    async fn say(&mut self, phase: Option<Phase>) {
        let Some(held) = &self.held else { return };
        self.lines += 1;
        let job = held.job.as_ref();
        let snapshot = job.and_then(|job| job.state.snapshot.borrow().clone());
        let idle = if held.lapsed.is_some() { Phase::Lapsed } else { Phase::Idle };
        let line = Line {
            worker: self.instance.clone(),
            number: self.lines,
            load: job.map(|job| job.task.load).or(held.lapsed),
            phase: phase.or(job.map(|job| job.state.phase.get())).unwrap_or(idle),
            why: job.and_then(|job| job.state.why.borrow().clone()),
            clock_error_us: self.tracer.clock().map(|clock| clock.at(clock::now()).error_us),
            snapshot: snapshot.and_then(|snapshot| to_raw_value(&*snapshot).ok()),
        };
        let workers = job.map_or(1, |job| job.task.segment.of);
        // What is not said now is said a second later.
        let _ = timeout(WITHIN, self.meeting.say(&held.coordinator, &line, workers)).await;
    }

    /// Ends its load, and says that it goes.
    async fn leave(mut self) {
        if let Some(job) = self.held.as_mut().and_then(|held| held.job.as_mut()) {
            job.until.cancel();
            if !job.is_done {
                let _ = timeout(LEAVES_WITHIN, &mut job.work).await;
            }
        }
        self.say(Some(Phase::Left)).await;
        let _ = timeout(FLUSHED_WITHIN, self.tracer.close()).await;
    }
}

impl Job {
    /// Does what the task says by now.
    fn follow(&mut self, task: Task, clock: Option<clock::ClockState>) {
        let moment = |us: i64| clock.map(|clock| clock.moment(us));
        if let Some(begin) = task.begin_us.and_then(moment) {
            self.begin.send_if_modified(|known| known.replace(begin).is_none());
        }
        if let Some(from) = task.measured_us.and_then(moment) {
            self.gate.open(from);
        }
        if let (Some(at), None) = (task.stop_us.and_then(moment), self.task.stop_us) {
            let until = self.until.clone();
            tokio::spawn(async move {
                sleep_until(at.into()).await;
                until.cancel();
            });
        }
        self.task = task;
    }
}

/// What a part of a load needs.
struct PartOf {
    /// The key of its load.
    document: String,
    log: LogStore,
    options: WorkerOptions,
    tracer: Tracer,
    segment: load::Segment,
    fence: Fence,
    gate: Gate,
    until: CancellationToken,
}

impl PartOf {
    /// Makes it; gives why it cannot.
    async fn make(self, mut begins: watch::Receiver<Option<Instant>>, state: &Rc<State>) -> Result<(), String> {
        let document = self.log.get(&self.document).await.map_err(|error| error.to_string())?;
        let document = document.ok_or("the load is not in the log store any more")?;
        let Document { mut plan, run } =
            serde_json::from_str(&document).map_err(|error| format!("it cannot read the load: {error}"))?;
        drop(document);
        if let Some(why) = self.options.refuses(&plan) {
            return Err(why);
        }
        for site in &mut Arc::make_mut(&mut plan.program).sites {
            *site = site.found().await.map_err(|error| error.to_string())?;
        }
        let trace = |run: &str| {
            let run: RunId = run.parse().ok()?;
            Some(Tracing::new(&self.tracer, &run))
        };
        let tracing = run.as_deref().and_then(trace);
        if let (Some(around), Some(_)) = (&mut plan.around, &tracing) {
            around.tracing = trace(&around.run);
        }
        state.enter(Phase::Ready);
        let begin = self.until.run_until_cancelled(begins.wait_for(Option::is_some)).await;
        let begin =
            begin.and_then(|begin| begin.ok().and_then(|begin| *begin)).ok_or("it was ended before it began")?;
        let together = Together { begin, fence: self.fence, gate: self.gate.clone() };
        let plan = LoadPlan {
            segment: self.segment,
            together: Some(together),
            until: Some(self.until),
            keep_ids: false,
            ..plan
        };
        state.phase.set(Phase::Running);
        let told = state.clone();
        let tick = async |live: &Live| {
            if let Some(snapshot) = &live.snapshot {
                *told.snapshot.borrow_mut() = Some(snapshot.clone());
                told.changed.notify_one();
            }
        };
        let loading = watched(plan, tracing, true, tick);
        tokio::pin!(loading);
        let mut are_there = false;
        let loaded = loop {
            tokio::select! {
                loaded = &mut loading => break loaded,
                () = self.gate.there(), if !are_there => {
                    are_there = true;
                    state.enter(Phase::There);
                }
            }
        };
        loaded.map_err(|error| error.to_string())?;
        // What it has stamped is in the log store before anybody looks for it.
        let _ = timeout(FLUSHED_WITHIN, self.tracer.flush()).await;
        Ok(())
    }
}
