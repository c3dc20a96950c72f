//! Reading the log store: stamps, counts, and the documents kept beside them.

mod bulk;
mod copy;
mod dump;

use crate::clock;
use crate::connection::ends_connection;
use crate::registry::{self, Beat};
use crate::{MsgId, RedisUrl, RunId, Stage, StoreError, Wait, keys};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// Entries fetched in one round trip: the log store works on them for some 2 ms, and on nothing else.
const CHUNK: isize = 10_000;

/// Entries of a list that are fetched the usual way: most lists have no more, and are not worth a line of their own.
const FIRST: isize = 1000;

/// Arrivals asked for in one round trip.
const ARRIVALS: usize = 1000;

/// The exact counters of one run, summed over the processes that wrote them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// The messages counted at a stage, or another counter's value; 0 where nobody counted.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// All counters by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Sums fields such as `enqueue@7-1a2b.0` (one writer's total) and `enricher` (a plain HINCRBY of a foreign client).
    fn sum(fields: impl IntoIterator<Item = (String, u64)>) -> Self {
        let mut counts = BTreeMap::new();
        for (field, count) in fields {
            let name = field.split_once('@').map_or(field.as_str(), |(name, _)| name);
            *counts.entry(name.to_owned()).or_default() += count;
        }
        Self(counts)
    }
}

impl FromIterator<(String, u64)> for Counts {
    /// Fields as the hash of a run has them, writers included.
    fn from_iter<I: IntoIterator<Item = (String, u64)>>(fields: I) -> Self {
        Self::sum(fields)
    }
}

/// One time that the log store's clock was set, as the first process that noticed has written it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStep {
    /// Redis `TIME` when it was noticed, after the step.
    pub at: String,
    /// By how much the clock was set, µs; forwards is positive.
    pub size: i64,
    /// The bound of the error of `size`, µs.
    pub err: i64,
}

/// A connection for reading what tracers wrote. All clones share it, and one that has been made anew.
#[derive(Clone)]
pub struct LogStore {
    url: RedisUrl,
    connection: Arc<Mutex<MultiplexedConnection>>,
}

/// A list whose first entries are there; where it has more, they are on their way.
struct Begun {
    key: String,
    first: Vec<Vec<u8>>,
    rest: Option<bulk::Chunks>,
}

/// How long an answer may take: a whole chunk of stamps on a busy machine.
const WAIT: Wait = Wait::AtMost(Duration::from_secs(30));

/// How long a log store that had answered may be away.
const PATIENCE: Duration = Duration::from_secs(10);

impl LogStore {
    /// Connects to the log store.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn connect(url: &RedisUrl) -> Result<Self, StoreError> {
        let connection = Arc::new(Mutex::new(url.connect(WAIT).await?));
        Ok(Self { url: url.clone(), connection })
    }

    /// Asks, and asks again on a new connection where the old one has ended, or leads to a server that has been replaced. What is asked must be the
    /// same when it is done twice.
    ///
    /// # Errors
    /// When it is not answered within ten seconds, or refused.
    pub async fn ask<T, F: Future<Output = RedisResult<T>>>(
        &self,
        command: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<T, StoreError> {
        let (begin, mut delay) = (clock::now(), Duration::from_millis(25));
        loop {
            let connection = self.lock().clone();
            match command(connection).await {
                Err(error) if ends_connection(&error) && clock::now().duration_since(begin) < PATIENCE => {}
                answer => return answer.map_err(|error| self.url.failed(error)),
            }
            sleep(delay).await;
            delay = (delay * 2).min(Duration::from_secs(1));
            if let Ok(connection) = self.url.connect(WAIT).await {
                *self.lock() = connection;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, MultiplexedConnection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters of a run; empty for a run that nobody has seen.
    pub async fn counts(&self, run: &RunId) -> Result<Counts, StoreError> {
        Ok(self.count_fields(run).await?.into_iter().collect())
    }

    /// The fields of a run's hash of counters as they are, each of one writer.
    pub async fn count_fields(&self, run: &RunId) -> Result<BTreeMap<String, u64>, StoreError> {
        let key = &keys::counts(run);
        self.ask(|mut redis| async move { redis.hgetall(key).await }).await
    }

    /// The runs that have counters, sorted.
    pub async fn runs(&self) -> Result<Vec<RunId>, StoreError> {
        let keys = self.ask(|mut redis| async move { registry::scan(&mut redis, "trace:*:counts").await }).await?;
        let run = |key: &String| key.strip_prefix("trace:")?.strip_suffix(":counts")?.parse().ok();
        Ok(keys.iter().filter_map(run).collect())
    }

    /// Hands every entry of a stage's list to `take`, oldest first.
    pub async fn entries(&self, run: &RunId, stage: &Stage, mut take: impl FnMut(&[u8])) -> Result<(), StoreError> {
        self.lists(run, &[stage], |_, entry| take(entry), |_| ()).await
    }

    /// Hands every entry of these stages' lists to `take`, with the stage's index: one list after the other, oldest first; `read` is called behind each.
    /// What is longer than a chunk is fetched ahead on a thread of its own, and the log store works on the next list while one is taken.
    pub async fn lists(
        &self,
        run: &RunId,
        stages: &[&Stage],
        mut take: impl FnMut(usize, &[u8]),
        mut read: impl FnMut(usize),
    ) -> Result<(), StoreError> {
        let mut begun = VecDeque::new();
        for ahead in 0..=stages.len() {
            if let Some(stage) = stages.get(ahead) {
                begun.push_back(self.begin(keys::stamps(run, stage)).await?);
            }
            if let Some(index) = ahead.checked_sub(1)
                && let Some(list) = begun.pop_front()
            {
                self.read(list, |entry| take(index, entry)).await?;
                read(index);
            }
        }
        Ok(())
    }

    async fn begin(&self, key: String) -> Result<Begun, StoreError> {
        let first = self.chunk(&key, 0, FIRST).await?;
        let rest = (first.len() == FIRST.unsigned_abs()).then(|| {
            let entry_bytes = first.iter().map(Vec::len).sum::<usize>() / first.len();
            bulk::read(self.url.clone(), key.clone(), FIRST, CHUNK, Some(entry_bytes as u64), PATIENCE)
        });
        Ok(Begun { key, first, rest })
    }

    async fn read(&self, list: Begun, mut take: impl FnMut(&[u8])) -> Result<(), StoreError> {
        let Begun { key, first: mut chunk, mut rest } = list;
        let mut from = 0;
        loop {
            for entry in &chunk {
                take(entry);
            }
            from += chunk.len().cast_signed();
            if chunk.len() < FIRST.unsigned_abs() {
                return Ok(());
            }
            let fetch = || bulk::read(self.url.clone(), key.clone(), from, CHUNK, None, PATIENCE);
            let mut chunks = rest.take().unwrap_or_else(fetch);
            while let Some(taken) = chunks.next(&mut take).await {
                from += taken.cast_signed();
                // A turn for whoever shares the thread.
                tokio::task::yield_now().await;
            }
            // This one waits for a log store that is away, and words its failures: where the way of the others breaks off, it is taken up here.
            chunk = self.chunk(&key, from, FIRST).await?;
        }
    }

    async fn chunk(&self, key: &str, from: isize, size: isize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.ask(|mut redis| async move { redis.lrange(key, from, from + size - 1).await }).await
    }

    /// Hands entries of a stage's list to `take`, from the one with the given number (counted from 0) on, as many as one round trip
    /// brings. Gives how many these were: for following a run while it grows.
    pub async fn entries_from(
        &self,
        run: &RunId,
        stage: &Stage,
        from: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<usize, StoreError> {
        let from = isize::try_from(from).unwrap_or(isize::MAX - CHUNK);
        let key = keys::stamps(run, stage);
        let chunk = self.chunk(&key, from, CHUNK).await?;
        for entry in &chunk {
            take(entry);
        }
        Ok(chunk.len())
    }

    /// Which of these messages have arrived, in their order, as a subscriber has recorded it that keeps its arrivals in the
    /// log store (`mqttclient --arrivals log-store`).
    pub async fn has_arrived(
        &self,
        run: &RunId,
        ids: impl IntoIterator<Item = MsgId>,
    ) -> Result<Vec<bool>, StoreError> {
        let (mut ids, mut arrived) = (ids.into_iter().peekable(), Vec::new());
        while ids.peek().is_some() {
            let mut pipeline = redis::pipe();
            for id in ids.by_ref().take(ARRIVALS) {
                let (block, bit) = (id.get() / keys::ARRIVALS_PER_BLOCK, id.get() % keys::ARRIVALS_PER_BLOCK);
                pipeline.cmd("GETBIT").arg(keys::arrived(run, block)).arg(bit);
            }
            let asked = &pipeline;
            let bits: Vec<bool> = self.ask(|mut redis| async move { asked.query_async(&mut redis).await }).await?;
            arrived.extend(bits);
        }
        Ok(arrived)
    }

    /// The processes of all services that have beaten within the last seconds.
    pub async fn services(&self) -> Result<Vec<Beat>, StoreError> {
        self.ask(|mut redis| async move { registry::read(&mut redis).await }).await
    }

    /// The present beats of processes that are known: unlike [`services`](Self::services) it does not look through all keys.
    pub async fn beats_of(&self, known: &[Beat]) -> Result<Vec<Beat>, StoreError> {
        let keys: Vec<String> = known.iter().map(|beat| keys::service(&beat.service, &beat.instance)).collect();
        let keys = &keys;
        self.ask(|mut redis| async move { registry::fetch(&mut redis, keys).await }).await
    }

    /// The times that the log store's clock was set, from the one with the given number (counted from 0) on.
    pub async fn clock_steps(&self, from: usize) -> Result<Vec<ClockStep>, StoreError> {
        let from = isize::try_from(from).unwrap_or(isize::MAX);
        let steps: Vec<String> =
            self.ask(|mut redis| async move { redis.lrange(keys::CLOCK_STEPS, from, -1).await }).await?;
        // What another program may have put there is no step.
        Ok(steps.iter().filter_map(|step| serde_json::from_str(step).ok()).collect())
    }

    /// Elements in a list, or entries in a stream, for example the messages that wait in a queue of either kind.
    pub async fn length(&self, key: &str) -> Result<u64, StoreError> {
        self.ask(|mut redis| async move {
            match redis.llen(key).await {
                Err(error) if error.code() == Some("WRONGTYPE") => redis.xlen(key).await,
                length => length,
            }
        })
        .await
    }

    /// The server's clock, µs since 1970-01-01 UTC. The answer is late by its way back: this is for marks of whole loads, not for latencies.
    pub async fn time_us(&self) -> Result<i64, StoreError> {
        let (seconds, micros): (i64, i64) =
            self.ask(|mut redis| async move { redis::cmd("TIME").query_async(&mut redis).await }).await?;
        Ok(seconds * 1_000_000 + micros)
    }

    /// What the server tells about itself (INFO), by name. Sections are asked for by theirs: `server`, `cpu`, `memory`.
    pub async fn info(&self, sections: &[&str]) -> Result<BTreeMap<String, String>, StoreError> {
        let text: String =
            self.ask(|mut redis| async move { redis::cmd("INFO").arg(sections).query_async(&mut redis).await }).await?;
        let field = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Ok(text.lines().filter_map(field).collect())
    }

    /// Settings of the server (CONFIG GET), by name; those that it does not know are left out.
    pub async fn settings(&self, names: &[&str]) -> Result<BTreeMap<String, String>, StoreError> {
        self.ask(|mut redis| async move { redis::cmd("CONFIG").arg("GET").arg(names).query_async(&mut redis).await })
            .await
    }

    /// Keeps a document under `key` for `time_to_live`.
    pub async fn put(&self, key: &str, document: &str, time_to_live: Duration) -> Result<(), StoreError> {
        let seconds = time_to_live.as_secs().max(1);
        self.ask(|mut redis| async move { redis.set_ex(key, document, seconds).await }).await
    }

    /// Removes what is under `key`, if something is.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.ask(|mut redis| async move { redis.unlink(key).await }).await
    }

    /// The document under `key`, if it is there.
    pub async fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.ask(|mut redis| async move { redis.get(key).await }).await
    }
}

impl std::fmt::Debug for LogStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogStore").field("url", &self.url.to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_are_summed() {
        let fields = [("enqueue@1-a.0", 3), ("enqueue@2-b.0", 4), ("enricher", 5)];
        let counts: Counts = fields.map(|(name, count)| (name.to_owned(), count)).into_iter().collect();
        assert_eq!((counts.get("enqueue"), counts.get("enricher"), counts.get("publish")), (7, 5, 0));
    }
}
