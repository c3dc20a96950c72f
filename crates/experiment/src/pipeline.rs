//! The pipeline under load: a private local one, or one that is already there.

use crate::error::ExperimentError;
use crate::plan::Site;
use load::Target;
use stack::{Part, Stack, StackError};
use stamp::{LogStore, RedisUrl, StoreError};

/// A pipeline that answers.
#[derive(Debug)]
pub struct Pipeline {
    /// The API under load; absent where another program loads it.
    pub target: Option<Target>,
    /// The Redis server that takes the stamps.
    pub log_store: RedisUrl,
    /// For reading what the services write.
    pub log: LogStore,
    pub(crate) queue_redis: LogStore,
    pub(crate) queue: String,
    shares_redis: bool,
    stack: Option<Stack>,
}

impl Pipeline {
    /// Starts the local stack, or connects to the pipeline that is already there.
    ///
    /// # Errors
    /// When a part does not start, or does not answer.
    pub(crate) async fn open(site: &Site, queue: &str) -> Result<Self, ExperimentError> {
        let (target, redis, log_store, stack) = match site {
            Site::Remote { target, redis, log_store } => (target.clone(), redis.clone(), log_store.clone(), None),
            Site::Local(options) => {
                let stack = Stack::start(options).await?;
                let endpoints = stack.endpoints();
                let redis: RedisUrl = endpoints.redis.parse()?;
                (Some(endpoints.api.parse()?), redis.clone(), redis, Some(stack))
            }
        };
        let log = LogStore::connect(&log_store).await?;
        let queue_redis = LogStore::connect(&redis).await?;
        let shares_redis = log_store.to_string() == redis.to_string();
        Ok(Self { target, log_store, log, queue_redis, queue: queue.to_owned(), shares_redis, stack })
    }

    /// Messages that wait in the Redis queue right now.
    pub(crate) async fn backlog(&self) -> Result<u64, StoreError> {
        self.queue_redis.length(&self.queue).await
    }

    /// Whether the Redis server of the queue is the log store, too.
    pub(crate) fn shares_redis(&self) -> bool {
        self.shares_redis
    }

    /// The processes of this pipeline that run on this host as children of this one, and this one: names and ids.
    pub(crate) fn processes(&self) -> Vec<(String, u32)> {
        let own = ("driver".to_owned(), std::process::id());
        let part = |stack: &Stack, part: Part| (part.to_string(), stack.pid(part));
        let parts = self.stack.iter().flat_map(|stack| Part::all().map(|one| part(stack, one)));
        parts.chain([own]).collect()
    }

    /// The broker and the settings of it that cost latency, where it is ours.
    pub(crate) fn broker(&self) -> Option<String> {
        let stack = self.stack.as_ref()?;
        let log = stack.log(Part::Mosquitto);
        let version = log.split_once("mosquitto version ").and_then(|(_, rest)| rest.split_whitespace().next());
        Some(format!("mosquitto {}, {}", version.unwrap_or("of unknown version"), stack.broker_settings().join(", ")))
    }

    /// An error when a part of the local stack is no longer there.
    pub(crate) fn ended(&mut self) -> Result<(), StackError> {
        match &mut self.stack {
            Some(stack) => stack.ended(),
            None => Ok(()),
        }
    }

    /// Whether it is the local stack.
    pub(crate) fn is_local(&self) -> bool {
        self.stack.is_some()
    }

    /// Ends the local stack in the order of the stream.
    pub(crate) async fn close(self) {
        if let Some(stack) = self.stack {
            stack.stop().await;
        }
    }
}
