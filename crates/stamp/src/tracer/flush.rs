//! The task that writes stamps, counts and beats to the log store.

use super::TracerOptions;
use super::books::{Book, Books, Mark, Totals};
use super::heartbeat::beat;
use super::scale::Scale;
use super::script::StampScript;
use crate::clock::{self, RedisClock};
use crate::{RedisUrl, Wait, keys, registry};
use redis::aio::MultiplexedConnection;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, sleep, sleep_until};
use tracing::{info, warn};

/// How often counts are written.
const COUNT_PERIOD: Duration = Duration::from_millis(50);

/// The shortest time from one flush to the next. The disciplined clock knows the event's time whenever it is written, so that
/// stamps may gather: fewer, larger flushes cost the pipeline less.
const GATHER: Duration = Duration::from_millis(10);

/// Stamps per call of the script: Redis serves nobody else while it runs.
const STAMPS_PER_CALL: usize = 128;

pub(super) struct Flusher {
    books: Arc<Books>,
    url: RedisUrl,
    clock: Option<RedisClock>,
    scale: Scale,
    connection: Option<MultiplexedConnection>,
    script: StampScript,
    backoff: Duration,
    /// The next counts are due.
    counts_at: Instant,
    /// The next beat is due.
    beat_at: Instant,
    /// No flush before.
    not_before: Instant,
}

impl Flusher {
    pub(super) fn new(books: Arc<Books>, url: RedisUrl, clock: Option<RedisClock>) -> Self {
        let (scale, script, now) = (Scale::default(), StampScript::new(), clock::now());
        Self {
            books,
            url,
            clock,
            scale,
            connection: None,
            script,
            backoff: Duration::ZERO,
            counts_at: now,
            beat_at: now,
            not_before: now,
        }
    }

    /// Writes until the last [`super::Tracer`] is gone, and then once more.
    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
        let mut period = tokio::time::interval(COUNT_PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let stamps_wait = async {
                sleep_until(self.not_before.into()).await;
                self.books.wake.notified().await;
            };
            let mut asked = Vec::new();
            let open = tokio::select! {
                () = stamps_wait => true,
                _ = period.tick() => true,
                request = requests.recv() => match request {
                    Some(done) => { asked.push(done); true }
                    None => false,
                },
            };
            while !self.flush(!open || !asked.is_empty()).await && open {
                // Stamps keep gathering meanwhile; who asked keeps waiting.
                self.backoff = (self.backoff * 2).clamp(Duration::from_millis(50), Duration::from_secs(2));
                sleep(self.backoff).await;
                if requests.is_closed() {
                    return;
                }
            }
            for done in asked {
                let _ = done.send(());
            }
            if !open {
                return self.take_leave().await;
            }
        }
    }

    /// Writes what has gathered, counts only when they are due or `all` is asked for; false when the log store is away.
    async fn flush(&mut self, all: bool) -> bool {
        // Counts are read before the stamps are taken: a message that is counted in the log store then has its
        // stamp there, too, and whoever waits for the counts finds the stamps complete.
        let now = clock::now();
        let totals = if all || now >= self.counts_at { self.books.changed() } else { Vec::new() };
        let marks = self.books.take();
        let beats = now >= self.beat_at;
        if totals.is_empty() && marks.is_empty() && !beats {
            return true;
        }
        let Some(mut connection) = self.connected().await else {
            self.books.put_back(marks);
            return false;
        };
        let written = self.write_stamps(&mut connection, marks).await
            && self.write_counts(&mut connection, &totals).await
            && (!beats || self.write_beat(&mut connection).await);
        if !written {
            self.connection = None;
            return false;
        }
        if !totals.is_empty() {
            self.books.written(&totals);
            self.counts_at = now + COUNT_PERIOD;
        }
        if self.clock.is_some() {
            self.not_before = clock::now() + GATHER;
        }
        if !std::mem::take(&mut self.backoff).is_zero() {
            info!("the log store at {} is back", self.url);
        }
        true
    }

    async fn connected(&mut self) -> Option<MultiplexedConnection> {
        if self.connection.is_none() {
            match self.url.connect(Wait::BRIEFLY).await {
                Ok(connection) => self.connection = Some(connection),
                Err(error) if self.backoff.is_zero() => warn!("stamps wait: {error}"),
                Err(_) => {}
            }
        }
        self.connection.clone()
    }

    async fn write_stamps(&mut self, connection: &mut MultiplexedConnection, mut marks: VecDeque<Mark>) -> bool {
        if marks.is_empty() {
            return true;
        }
        let time_to_live = self.books.options.time_to_live;
        // One state of the clock for the whole flush: all its event times are told in one time scale.
        let clock = self.clock.as_ref().and_then(RedisClock::state);
        let scale = match &clock {
            Some(clock) => match self.scale.number(clock, connection, time_to_live).await {
                Ok(scale) => scale,
                Err(error) => {
                    warn!("stamps wait: {}", self.url.failed(error));
                    self.books.put_back(marks);
                    return false;
                }
            },
            None => 0,
        };
        let names = self.books.names();
        while !marks.is_empty() {
            let batch: Vec<Mark> = marks.drain(..marks.len().min(STAMPS_PER_CALL)).collect();
            let call = self.script.call(&batch, &names, clock.as_ref(), scale, time_to_live);
            let result: redis::RedisResult<()> = call.invoke_async(connection).await;
            if let Err(error) = result {
                warn!("{} stamps may be lost: {}", batch.len(), self.url.failed(error));
                // Whether Redis has them is unknown. Writing them again could make two stamps of one, which would
                // look like a duplicate message; so they are counted as dropped.
                for mark in &batch {
                    mark.book.drop_stamps(mark.slot, 1);
                }
                self.books.put_back(marks);
                return false;
            }
        }
        true
    }

    /// Sets this process's own fields to its totals: unlike an increment, that may be repeated without harm.
    async fn write_counts(&self, connection: &mut MultiplexedConnection, totals: &[(Arc<Book>, Totals)]) -> bool {
        if totals.is_empty() {
            return true;
        }
        let names = self.books.names();
        let time_to_live = self.books.options.time_to_live.as_secs().cast_signed();
        let mut pipeline = redis::pipe();
        for (book, totals) in totals {
            let key = keys::counts(&book.run);
            let writer = format!("{}.{}", self.books.options.instance, book.edition);
            let mut set = redis::cmd("HSET");
            set.arg(&key);
            for (slot, name) in names.iter().enumerate() {
                if totals.counts[slot] > 0 {
                    set.arg(format!("{}@{writer}", name.text)).arg(totals.counts[slot]);
                }
                if totals.dropped[slot] > 0 {
                    set.arg(format!("dropped.{}@{writer}", name.text)).arg(totals.dropped[slot]);
                }
            }
            pipeline.add_command(set).ignore();
            pipeline.expire(&key, time_to_live).ignore();
        }
        let result: redis::RedisResult<()> = pipeline.query_async(connection).await;
        if let Err(error) = &result {
            warn!("counts wait: {error} (redis at {})", self.url);
        }
        result.is_ok()
    }

    async fn write_beat(&mut self, connection: &mut MultiplexedConnection) -> bool {
        self.beat_at = clock::now() + registry::PERIOD;
        let clock = self.clock.as_ref().and_then(RedisClock::state);
        let beat = beat(&self.books.options, &self.books.names(), clock.as_ref());
        registry::write(connection, &beat).await.is_ok()
    }

    async fn take_leave(mut self) {
        if let Some(connection) = &mut self.connection {
            let TracerOptions { service, instance, .. } = &self.books.options;
            let _ = registry::remove(connection, service, instance).await;
        }
    }
}
