//! The task that writes stamps, counts and beats to the log store.

use super::books::{Book, Books, Mark, Totals};
use super::heartbeat::beat;
use super::scale::Scale;
use super::script::StampScript;
use super::{Request, TracerOptions};
use crate::clock::{self, RedisClock};
use crate::{RedisUrl, Wait, keys, registry};
use redis::aio::MultiplexedConnection;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, sleep};
use tracing::{info, warn};

/// How often stamps and counts are written. The disciplined clock knows an event's time whenever it is written, so that stamps
/// may gather: fewer, larger flushes cost the pipeline less. Plain stamps are written at once.
const PERIOD: Duration = Duration::from_millis(50);

/// Stamps per call of the script: Redis serves nobody else while it runs.
const STAMPS_PER_CALL: usize = 64;

pub(super) struct Flusher {
    books: Arc<Books>,
    url: RedisUrl,
    clock: Option<RedisClock>,
    scale: Scale,
    connection: Option<MultiplexedConnection>,
    script: StampScript,
    backoff: Duration,
    /// The next beat is due.
    beat_at: Instant,
}

impl Flusher {
    pub(super) fn new(books: Arc<Books>, url: RedisUrl, clock: Option<RedisClock>) -> Self {
        let (scale, script) = (Scale::default(), StampScript::new());
        Self { books, url, clock, scale, connection: None, script, backoff: Duration::ZERO, beat_at: clock::now() }
    }

    /// Writes until the last [`super::Tracer`] is closed or gone, and then once more.
    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut period = tokio::time::interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut asked = None;
            let open = tokio::select! {
                () = self.books.wake.notified(), if self.clock.is_none() => true,
                _ = period.tick() => true,
                request = requests.recv() => match request {
                    Some(Request::Flush(done)) => { asked = Some(done); true }
                    Some(Request::Close(done)) => { asked = Some(done); false }
                    None => false,
                },
            };
            while !self.flush().await && open {
                // Stamps keep gathering meanwhile; who asked keeps waiting.
                self.backoff = (self.backoff * 2).clamp(Duration::from_millis(50), Duration::from_secs(2));
                sleep(self.backoff).await;
                if requests.is_closed() {
                    return;
                }
            }
            if !open {
                self.take_leave().await;
            }
            if let Some(done) = asked {
                let _ = done.send(());
            }
            if !open {
                return;
            }
        }
    }

    /// Writes what has gathered; false when the log store is away.
    async fn flush(&mut self) -> bool {
        // Counts are read before the stamps are taken: a message that is counted in the log store then has its
        // stamp there, too, and whoever waits for the counts finds the stamps complete.
        let totals = self.books.changed();
        let marks = self.books.take();
        let beats = clock::now() >= self.beat_at;
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
        self.books.written(&totals);
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
        let clock = match &clock {
            Some(clock) => match self.scale.number(clock, connection, time_to_live).await {
                Ok(scale) => Some((clock, scale)),
                Err(error) => {
                    warn!("stamps wait: {}", self.url.failed(error));
                    self.books.put_back(marks);
                    return false;
                }
            },
            None => None,
        };
        let names = self.books.names();
        while !marks.is_empty() {
            let batch: Vec<Mark> = marks.drain(..marks.len().min(STAMPS_PER_CALL)).collect();
            let call = self.script.call(&batch, &names, clock, time_to_live);
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
        registry::write(connection, &beat, self.books.options.time_to_live).await.is_ok()
    }

    async fn take_leave(&mut self) {
        if let Some(connection) = &mut self.connection {
            let TracerOptions { service, instance, .. } = &self.books.options;
            let _ = registry::remove(connection, service, instance).await;
        }
    }
}
