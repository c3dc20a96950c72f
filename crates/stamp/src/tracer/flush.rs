//! The task that writes stamps and counts to the log store.

use super::books::{Books, Mark, Totals};
use crate::{RedisUrl, Wait, keys};
use redis::aio::MultiplexedConnection;
use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, sleep};
use tracing::{info, warn};

/// How often counts are written.
const COUNT_PERIOD: Duration = Duration::from_millis(50);

/// Stamps per call of the script: Redis serves nobody else while it runs.
const STAMPS_PER_CALL: usize = 128;

/// Reads TIME and appends the stamps: one reading of the one clock for all that came with this call.
/// KEYS: the lists. ARGV: seconds to live, then for each list the number of its stamps and their ids.
const SCRIPT: &str = r"
local time = redis.call('TIME')
local tail = string.format(',\'time\':\'%s.%06d\'}', time[1], time[2]):gsub('\'', '\34')
local arg = 2
for k = 1, #KEYS do
    local entries = {}
    for n = 1, ARGV[arg] do
        entries[n] = '{\34id\34:' .. ARGV[arg + n] .. tail
    end
    arg = arg + ARGV[arg] + 1
    redis.call('RPUSH', KEYS[k], unpack(entries))
    redis.call('EXPIRE', KEYS[k], ARGV[1])
end
";

pub(super) struct Flusher {
    books: Arc<Books>,
    url: RedisUrl,
    connection: Option<MultiplexedConnection>,
    script: redis::Script,
    backoff: Duration,
}

impl Flusher {
    pub(super) fn new(books: Arc<Books>, url: RedisUrl) -> Self {
        Self { books, url, connection: None, script: redis::Script::new(SCRIPT), backoff: Duration::ZERO }
    }

    /// Writes until the last [`super::Tracer`] is gone, and then once more.
    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
        let mut period = tokio::time::interval(COUNT_PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut asked = Vec::new();
            let open = tokio::select! {
                () = self.books.wake.notified() => true,
                _ = period.tick() => true,
                request = requests.recv() => match request {
                    Some(done) => { asked.push(done); true }
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
            for done in asked {
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
        if totals.is_empty() && marks.is_empty() {
            return true;
        }
        let Some(mut connection) = self.connected().await else {
            self.books.put_back(marks);
            return false;
        };
        if self.write(&mut connection, marks).await && self.write_counts(&mut connection, &totals).await {
            self.books.written(&totals);
            if !self.backoff.is_zero() {
                info!("the log store at {} is back", self.url);
                self.backoff = Duration::ZERO;
            }
            return true;
        }
        self.connection = None;
        false
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

    async fn write(&self, connection: &mut MultiplexedConnection, mut marks: VecDeque<Mark>) -> bool {
        while !marks.is_empty() {
            let batch: Vec<Mark> = marks.drain(..marks.len().min(STAMPS_PER_CALL)).collect();
            let call = self.call(&batch);
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

    fn call<'a>(&'a self, batch: &[Mark]) -> redis::ScriptInvocation<'a> {
        let names = self.books.names();
        let mut lists: HashMap<(usize, *const super::Book), usize> = HashMap::new();
        let mut groups: Vec<(String, Vec<u64>)> = Vec::new();
        for mark in batch {
            let group = match lists.entry((mark.slot, Arc::as_ptr(&mark.book))) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    groups.push((format!("trace:{}:{}", mark.book.run, names[mark.slot]), Vec::new()));
                    *new.insert(groups.len() - 1)
                }
            };
            groups[group].1.push(mark.id.get());
        }
        let mut call = self.script.prepare_invoke();
        call.arg(self.books.options.time_to_live.as_secs());
        for (key, ids) in groups {
            call.key(key).arg(ids.len());
            for id in ids {
                call.arg(id);
            }
        }
        call
    }

    /// Sets this process's own fields to its totals: unlike an increment, that may be repeated without harm.
    async fn write_counts(
        &self,
        connection: &mut MultiplexedConnection,
        totals: &[(Arc<super::Book>, Totals)],
    ) -> bool {
        if totals.is_empty() {
            return true;
        }
        let names = self.books.names();
        let mut pipeline = redis::pipe();
        for (book, totals) in totals {
            let key = keys::counts(&book.run);
            let writer = format!("{}.{}", self.books.options.instance, book.edition);
            let mut set = redis::cmd("HSET");
            set.arg(&key);
            for (slot, name) in names.iter().enumerate() {
                if totals.counts[slot] > 0 {
                    set.arg(format!("{name}@{writer}")).arg(totals.counts[slot]);
                }
                if totals.dropped[slot] > 0 {
                    set.arg(format!("dropped.{name}@{writer}")).arg(totals.dropped[slot]);
                }
            }
            pipeline.add_command(set).ignore();
            pipeline.expire(&key, self.books.options.time_to_live.as_secs().cast_signed()).ignore();
        }
        let result: redis::RedisResult<()> = pipeline.query_async(connection).await;
        if let Err(error) = &result {
            warn!("counts wait: {error} (redis at {})", self.url);
        }
        result.is_ok()
    }
}
