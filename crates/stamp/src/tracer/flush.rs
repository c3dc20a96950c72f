//! The task that writes stamps, counts and beats to the log store.

use super::books::{Book, Books, Mark, Name, Totals};
use super::heartbeat::beat;
use super::scale::Scale;
use super::script::StampScript;
use super::{Request, TracerOptions};
use crate::clock::{self, RedisClock};
use crate::{RedisUrl, Refusal, StoreError, Wait, keys, registry};
use redis::aio::MultiplexedConnection;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, sleep};
use tracing::{info, warn};

/// How often stamps and counts are written. The disciplined clock knows an event's time whenever it is written, so that stamps
/// may gather: fewer, larger flushes cost the pipeline less. Plain stamps are written at once.
const PERIOD: Duration = Duration::from_millis(100);

/// Stamps per call of the script: Redis serves nobody else while it runs.
const STAMPS_PER_CALL: usize = 64;

pub(super) struct Flusher {
    books: Arc<Books>,
    url: RedisUrl,
    clock: Option<RedisClock>,
    scale: Scale,
    connection: Option<(MultiplexedConnection, StampScript)>,
    backoff: Duration,
    /// The next beat is due.
    beat_at: Instant,
}

impl Flusher {
    pub(super) fn new(books: Arc<Books>, url: RedisUrl, clock: Option<RedisClock>) -> Self {
        let scale = Scale::default();
        Self { books, url, clock, scale, connection: None, backoff: Duration::ZERO, beat_at: clock::now() }
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
        if let Some(clock) = &self.clock {
            self.books.progress.set_clock(clock.state());
        }
        let beats = clock::now() >= self.beat_at;
        if totals.is_empty() && marks.is_empty() && !beats {
            return true;
        }
        let Some((mut connection, script)) = self.connected().await else {
            self.books.put_back(marks);
            self.books.progress.set_connected(false);
            return false;
        };
        if let Err(error) = self.write(&mut connection, &script, marks, &totals, beats).await {
            if self.backoff.is_zero() {
                warn!("stamps and counts wait: {}", self.url.failed(error));
            }
            self.books.progress.set_connected(false);
            return false;
        }
        self.books.progress.set_connected(true);
        self.connection = Some((connection, script));
        self.books.written(&totals);
        if !std::mem::take(&mut self.backoff).is_zero() {
            info!("the log store at {} is back", self.url);
        }
        true
    }

    /// Takes the connection, made anew if need be; who has used it without a fault puts it back.
    async fn connected(&mut self) -> Option<(MultiplexedConnection, StampScript)> {
        if let Some(connected) = self.connection.take() {
            return Some(connected);
        }
        let connected = async {
            let mut connection = self.url.connect(Wait::BRIEFLY).await?;
            let script = StampScript::load(&mut connection).await.map_err(|error| self.url.failed(error))?;
            Ok::<_, StoreError>((connection, script))
        };
        match connected.await {
            Ok(connected) => {
                self.books.write_all_again();
                Some(connected)
            }
            Err(error) => {
                if self.backoff.is_zero() {
                    warn!("stamps wait: {error}");
                }
                None
            }
        }
    }

    /// Writes stamps in several pipelines, counts and the beat with the last of them: who finds a message counted finds it
    /// stamped.
    async fn write(
        &mut self,
        connection: &mut MultiplexedConnection,
        script: &StampScript,
        mut marks: VecDeque<Mark>,
        totals: &[(Arc<Book>, Totals)],
        beats: bool,
    ) -> redis::RedisResult<()> {
        let time_to_live = self.books.options.time_to_live;
        // One state of the clock for the whole flush: all its event times are told in one time scale.
        let clock = self.clock.as_ref().and_then(RedisClock::state);
        let scale = match &clock {
            Some(clock) => match self.scale.number(clock, beats, connection, time_to_live).await {
                Ok(scale) => scale,
                Err(error) => {
                    self.books.put_back(marks);
                    return Err(error);
                }
            },
            None => 0,
        };
        let names = self.books.names();
        loop {
            let batch: Vec<Mark> = marks.drain(..marks.len().min(STAMPS_PER_CALL)).collect();
            let mut pipeline = redis::pipe();
            // A key of the wrong type, which anybody can make, is to spoil nothing but its own run.
            pipeline.ignore_errors();
            if !batch.is_empty() {
                let call = script.call(&batch, &names, clock.as_ref().map(|clock| (clock, scale)), time_to_live);
                pipeline.add_command(call);
            }
            if marks.is_empty() {
                self.add_counts(&mut pipeline, &names, totals);
                if beats {
                    self.beat_at = clock::now() + registry::PERIOD;
                    registry::write(&mut pipeline, &beat(&self.books.options, &names, clock.as_ref()), time_to_live);
                }
            }
            let answers = match pipeline.query_async::<Vec<redis::RedisResult<redis::Value>>>(connection).await {
                Ok(answers) => answers,
                Err(error) => {
                    // Whether Redis has these stamps is unknown. Writing them again could make two stamps of one, which would
                    // look like a duplicate message; so they are counted as dropped.
                    drop_all(&batch);
                    self.books.put_back(marks);
                    return Err(error);
                }
            };
            let mut taken = batch.len();
            for (number, error) in
                answers.into_iter().enumerate().filter_map(|(number, answer)| Some((number, answer.err()?)))
            {
                let comes_again = |refusal: Refusal| refusal.ends_connection() || refusal.is_for_now();
                if error.code() == Some("NOSCRIPT") || Refusal::of(&error).is_some_and(comes_again) {
                    // None of these stamps has been written: they wait for the next connection, which loads the script, and may lead to another server,
                    // or to one that has room again.
                    self.clock.as_ref().inspect(|clock| clock.look_again());
                    // Where only the counts were refused, the stamps are there.
                    let mut again = if number == 0 { VecDeque::from(batch) } else { VecDeque::new() };
                    again.append(&mut marks);
                    self.books.put_back(again);
                    return Err(error);
                }
                warn!("not all stamps and counts could be written: {}", self.url.failed(error));
                if number == 0 {
                    drop_all(&batch);
                    taken = 0;
                }
            }
            self.books.progress.wrote(taken);
            if marks.is_empty() {
                return Ok(());
            }
        }
    }

    /// Sets this process's own fields to its totals: unlike an increment, that may be repeated without harm.
    fn add_counts(&self, pipeline: &mut redis::Pipeline, names: &[Name], totals: &[(Arc<Book>, Totals)]) {
        let time_to_live = self.books.options.time_to_live.as_secs().cast_signed();
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
            pipeline.add_command(set);
            pipeline.expire(&key, time_to_live).ignore();
        }
    }

    async fn take_leave(&mut self) {
        if let Some((connection, _)) = &mut self.connection {
            let TracerOptions { service, instance, .. } = &self.books.options;
            let _ = registry::remove(connection, service, instance).await;
        }
    }
}

fn drop_all(batch: &[Mark]) {
    for mark in batch {
        mark.book.drop_stamps(mark.slot, 1);
    }
}
