//! The tracer: counts every message, stamps the sampled ones, and brings both to the log store without ever
//! making the message path wait.
//!
//! [`RunTrace::stamp`] costs one atomic addition; for a sampled message also one push on a bounded buffer. A task
//! of its own writes what has gathered: one flush is under way at a time.

mod books;
mod figures;
mod flush;
mod heartbeat;
mod scale;
mod script;

use crate::clock::RedisClock;
use crate::{LogStore, MsgId, RedisUrl, RunId, SampleEvery, Stage, StoreError, Traceparent, clock, keys};
pub use books::MOST_STAGES;
use books::{Book, Books, Mark, Remark};
pub use figures::{Figures, Observer, SlotFigures};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// A process's part in tracing. Cheap to clone; all clones share one buffer and one connection.
#[derive(Debug, Clone)]
pub struct Tracer {
    books: Arc<Books>,
    requests: mpsc::UnboundedSender<Request>,
    clock: Option<RedisClock>,
}

/// What a tracer asks of the task that writes; it answers when that is done.
#[derive(Debug)]
enum Request {
    Flush(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// What can be set about a [`Tracer`].
#[derive(Debug, Clone)]
pub struct TracerOptions {
    /// Sample 1 message in N.
    pub every: SampleEvery,
    /// Stamps that may wait for the log store; more are dropped, and counted as `dropped.<stage>`.
    pub capacity: usize,
    /// How long keys live after their last write.
    pub time_to_live: Duration,
    /// How event times come about.
    pub clock: ClockMode,
    /// The service's name, under which it registers.
    pub service: String,
    /// The service's version.
    pub version: String,
    /// Tells this process's counters from those of its peers and of its own earlier lives.
    pub instance: String,
    /// What it may load, where it is a load generator: others see it in the registry.
    pub loads: Vec<String>,
}

/// How event times come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockMode {
    /// The disciplined clock tells Redis time at the event, with an error bound; stamps may then wait to be written
    /// together.
    #[default]
    Disciplined,
    /// The plain method: Redis `TIME` when the log store takes the stamp counts as the event's time.
    Redis,
    /// No tracing at all, neither stamps nor counts: to measure what tracing costs.
    Off,
}

impl Default for TracerOptions {
    fn default() -> Self {
        Self {
            every: SampleEvery::default(),
            capacity: 1 << 17,
            time_to_live: Duration::from_secs(keys::DEFAULT_TTL_SECONDS),
            clock: ClockMode::default(),
            service: executable_name(),
            loads: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: format!("{}-{:x}", std::process::id(), clock::unix_now().as_micros()),
        }
    }
}

/// A stage that this process stamps, looked up once.
#[derive(Debug, Clone, Copy)]
pub struct StageHandle(usize);

/// A counter of this process that is no stage, looked up once.
#[derive(Debug, Clone, Copy)]
pub struct CounterHandle(usize);

/// One run as this process sees it. Cheap to clone, so that it can travel with a message.
#[derive(Debug, Clone)]
pub struct RunTrace {
    book: Arc<Book>,
    books: Arc<Books>,
}

impl Tracer {
    /// Connects to the log store with the default options.
    ///
    /// # Errors
    /// When the address is wrong or the log store does not answer. Once connected, its loss is no error: stamps
    /// wait in the buffer, are dropped and counted when that is full, and the connection comes back by itself.
    pub async fn connect(log_store: &str) -> Result<Self, StoreError> {
        let log_store = log_store.parse()?;
        LogStore::connect(&log_store).await?;
        Ok(Self::start(&log_store, TracerOptions::default()))
    }

    /// Starts the task that writes to the log store, which need not be there yet. Must be called within a tokio
    /// runtime.
    #[must_use]
    pub fn start(log_store: &RedisUrl, options: TracerOptions) -> Self {
        let mode = options.clock;
        let books = Arc::new(Books::new(options));
        let (requests, asked) = mpsc::unbounded_channel();
        if mode == ClockMode::Off {
            return Self { books, requests, clock: None };
        }
        let clock = (mode == ClockMode::Disciplined).then(|| RedisClock::start(log_store));
        tokio::spawn(flush::Flusher::new(books.clone(), log_store.clone(), clock.clone()).run(asked));
        Self { books, requests, clock }
    }

    /// Stamps a message of the run `adhoc` at `stage`: counted always, written when sampled.
    pub fn stamp(&self, stage: &Stage, id: MsgId) {
        self.run(RunId::ADHOC).stamp(self.stage(stage), id);
    }

    /// Looks a stage up for [`RunTrace::stamp`].
    ///
    /// # Panics
    /// When one process asks for more than 32 stages and counters.
    #[must_use]
    pub fn stage(&self, stage: &Stage) -> StageHandle {
        StageHandle(self.books.slot(stage.as_str(), true))
    }

    /// Looks up a counter that is no stage, for [`RunTrace::count`].
    ///
    /// # Panics
    /// When one process asks for more than 32 stages and counters.
    #[must_use]
    pub fn counter(&self, name: &str) -> CounterHandle {
        CounterHandle(self.books.slot(name, false))
    }

    /// The run of this name, which the caller has checked ([`RunId::check`], or [`crate::Envelope::read`]).
    #[must_use]
    pub fn run(&self, run: &str) -> RunTrace {
        RunTrace { book: self.books.open(run), books: self.books.clone() }
    }

    /// 1 in how many messages is sampled.
    #[must_use]
    pub fn every(&self) -> SampleEvery {
        self.books.options.every
    }

    /// The clock by which event times are told, and what it knows now; absent before the first probe, and where there is no such clock.
    #[must_use]
    pub fn clock(&self) -> Option<clock::ClockState> {
        self.clock.as_ref()?.state()
    }

    /// Tells how the tracing goes, for as long as anybody wants to know: it keeps no task alive.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer::new(self.books.clone())
    }

    /// Waits until everything stamped and counted so far is in the log store. It waits as long as the log store
    /// is away: callers that must end put a deadline around it.
    pub async fn flush(&self) {
        self.ask(Request::Flush).await;
    }

    /// Writes what is left, once, and takes the process out of the registry. Whatever is stamped later is not written.
    pub async fn close(&self) {
        self.ask(Request::Close).await;
    }

    async fn ask(&self, request: fn(oneshot::Sender<()>) -> Request) {
        let (done, finished) = oneshot::channel();
        if self.requests.send(request(done)).is_ok() {
            let _ = finished.await;
        }
    }
}

impl RunTrace {
    /// Stamps a message at `stage`, now: counted always, written when sampled.
    pub fn stamp(&self, stage: StageHandle, id: MsgId) {
        // The clock is read only where the reading is used.
        if self.books.samples(id) {
            self.write(stage, id, clock::now(), None);
        }
        self.book.count(stage.0, 1);
    }

    /// Stamps a message that passed `stage` at the given moment.
    pub fn stamp_at(&self, stage: StageHandle, id: MsgId, at: Instant) {
        self.stamp_traced(stage, id, at, None);
    }

    /// The same for a message that came with the context of another trace: the stamp tells it.
    pub fn stamp_traced(&self, stage: StageHandle, id: MsgId, at: Instant, traceparent: Option<Traceparent>) {
        if self.books.samples(id) {
            self.write(stage, id, at, traceparent.map(Remark::Traceparent));
        }
        self.book.count(stage.0, 1);
    }

    /// Stamps a message that passed `stage` at a time that another clock has told, µs since 1970-01-01 UTC. Nobody has compared that clock
    /// with the log store's: the stamp names it, and states no error.
    pub fn stamp_foreign(&self, stage: StageHandle, id: MsgId, event_us: i64, clock: &Arc<str>) {
        if self.books.samples(id) {
            self.write(stage, id, clock::now(), Some(Remark::Foreign { event_us, clock: clock.clone() }));
        }
        self.book.count(stage.0, 1);
    }

    /// Adds to a counter that is no stage.
    pub fn count(&self, counter: CounterHandle, by: u64) {
        self.book.count(counter.0, by);
    }

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.book.run
    }

    fn write(&self, stage: StageHandle, id: MsgId, at: Instant, remark: Option<Remark>) {
        self.books.push(Mark { book: self.book.clone(), slot: stage.0, id, at, remark: remark.map(Box::new) });
    }
}

fn executable_name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_stem().map_or_else(|| "service".to_owned(), |stem| stem.to_string_lossy().into_owned())
}
