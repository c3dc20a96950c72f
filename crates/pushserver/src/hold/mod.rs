//! Taking messages in such a way that they stay in Redis, under the worker's name, until they are published.
//!
//! Each worker holds a *lease* under a name of its own: a member of the sorted set `<queue>:holders`, whose score the
//! [`Keeper`] raises while the process lives. What a worker takes moves atomically from the queue to its hold (a list
//! `<queue>:held:<name>`, or its share of the stream's pending entries) and leaves that once it is published. Who sees a
//! score stand still for the time of a lease moves that hold back to the queue and makes the score negative: the fence
//! that tells a holder which was only slow that it has lost it.

mod keeper;
mod list;
mod scripts;
mod stream;

use redis::aio::MultiplexedConnection;
use service::queue::{QueueArgs, QueueKind};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use keeper::Keeper;
use list::HeldList;
use scripts::Scripts;
use stream::HeldStream;

/// A message that was taken: what it is called in Redis, and its bytes.
pub(crate) type Taken = (Vec<u8>, Vec<u8>);

/// Why nothing could be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    /// Somebody else has taken over what this worker held: it was silent for longer than its lease.
    #[error("the lease on what was taken is lost: it was silent for too long")]
    Lost,
    /// Redis failed.
    #[error(transparent)]
    Redis(redis::RedisError),
}

impl From<redis::RedisError> for HoldError {
    fn from(error: redis::RedisError) -> Self {
        let told = error.clone().into_server_errors();
        let lost = told.is_some_and(|errors| errors.iter().any(|(_, error)| error.code() == scripts::LOST));
        if lost { Self::Lost } else { Self::Redis(error) }
    }
}

/// The names under which this process holds messages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<Mutex<BTreeSet<String>>>);

impl Names {
    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The keys that all holders of a queue share.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) queue: QueueArgs,
    holders: String,
}

impl Keys {
    pub(crate) fn new(queue: &QueueArgs) -> Self {
        Self { queue: queue.clone(), holders: format!("{}:holders", queue.key) }
    }

    /// The list of what a holder holds.
    fn held(&self, name: &str) -> String {
        format!("{}:held:{name}", self.queue.key)
    }
}

/// One worker's hold.
pub(crate) struct Hold {
    keys: Keys,
    names: Names,
    /// What all names of this worker begin with.
    worker: String,
    /// How often the lease was lost.
    tenure: u32,
    name: String,
    /// The name before this one, until it has been left in good order.
    left: Option<String>,
    store: Store,
}

enum Store {
    List(HeldList),
    Stream(HeldStream),
}

impl Hold {
    pub(crate) fn new(keys: Keys, names: Names, worker: String) -> Self {
        let store = match keys.queue.kind {
            QueueKind::List => Store::List(HeldList::default()),
            QueueKind::Stream => Store::Stream(HeldStream::default()),
        };
        Self { name: format!("{worker}.0"), keys, names, worker, tenure: 0, left: None, store }
    }

    /// Whether what a message is called is its own.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.store, Store::Stream(_))
    }

    /// Begins on a new connection: registers the name where that has not been done, and gives what it holds, in order.
    pub(crate) async fn resume(&mut self, connection: &mut MultiplexedConnection) -> Result<Vec<Taken>, HoldError> {
        let scripts = Scripts::load(connection).await?;
        if let Some(left) = &self.left {
            // What the queue gave to that name when the lease was lost already. All its commands have been answered: it needs no
            // fence any more.
            let () = scripts.give_back(connection, &self.keys, left, None).await?;
            self.left = None;
        }
        if self.names.change(|names| !names.contains(&self.name)) {
            redis::cmd("ZADD").arg(&self.keys.holders).arg("NX").arg(1).arg(&self.name).exec_async(connection).await?;
            self.names.change(|names| names.insert(self.name.clone()));
        }
        let (keys, name) = (&self.keys, &self.name);
        match &mut self.store {
            Store::List(list) => list.resume(connection, scripts, keys, name).await,
            Store::Stream(stream) => stream.resume(connection, scripts, keys, name).await,
        }
    }

    /// Drops the oldest messages, those with the keys `settled`, and takes up to `most` more. Where there are none it waits
    /// for up to half a second if it `may_wait`. It must not be abandoned before its end.
    pub(crate) async fn take<'a>(
        &mut self,
        connection: &mut MultiplexedConnection,
        settled: impl Iterator<Item = &'a [u8]> + Clone,
        most: usize,
        may_wait: bool,
    ) -> Result<Vec<Taken>, HoldError> {
        let (keys, name) = (&self.keys, &self.name);
        match &mut self.store {
            Store::List(list) => list.take(connection, keys, name, settled.count(), most, may_wait).await,
            Store::Stream(stream) => stream.take(connection, keys, name, settled, most, may_wait).await,
        }
    }

    /// The lease is lost: goes on under a new name, holding nothing.
    pub(crate) fn begin_anew(&mut self) {
        self.names.change(|names| names.remove(&self.name));
        self.tenure += 1;
        self.left = Some(std::mem::replace(&mut self.name, format!("{}.{}", self.worker, self.tenure)));
    }

    /// Gives everything back to the queue, and the name up. Says how many messages that were.
    pub(crate) async fn release(&mut self, connection: &mut MultiplexedConnection) -> Result<u64, HoldError> {
        // First, so that the keeper does not bring the name back.
        self.names.change(|names| names.remove(&self.name));
        let scripts = Scripts::load(connection).await?;
        Ok(scripts.give_back(connection, &self.keys, &self.name, None).await?)
    }
}
