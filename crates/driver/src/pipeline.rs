//! The pipeline under load: a private local one, or one that is already there.

use crate::monitor::Process;
use anyhow::Context;
use clap::Args;
use load::Target;
use reporter::UsageError;
use stack::{Part, Stack, StackOptions};
use stamp::{LogStore, RedisArgs, RedisUrl, SampleEvery};

/// Arguments that shape the local stack.
#[derive(Debug, Clone, Args)]
pub(crate) struct LocalArgs {
    /// More arguments for the local apiserver, for example "--max-body 4096"
    #[arg(long, value_name = "ARGS", default_value = "", allow_hyphen_values = true)]
    pub(crate) apiserver_args: String,

    /// More arguments for the local pushserver, for example "--workers 1 --batch 1 --qos 1"
    #[arg(long, value_name = "ARGS", default_value = "", allow_hyphen_values = true)]
    pub(crate) pushserver_args: String,

    /// More arguments for the local mqttclient
    #[arg(long, value_name = "ARGS", default_value = "", allow_hyphen_values = true)]
    pub(crate) mqttclient_args: String,
}

/// Arguments that name a pipeline which is already there.
#[derive(Debug, Clone, Args)]
pub(crate) struct RemoteArgs {
    /// The API under load [default: a private local stack]
    #[arg(long, value_name = "URL", env = "STAMPEDE_TARGET", hide_env_values = true, requires = "redis")]
    pub(crate) target: Option<Target>,

    /// The Redis server that holds the queue
    #[arg(long, value_name = "URL", env = "STAMPEDE_REDIS", hide_env_values = true)]
    pub(crate) redis: Option<RedisUrl>,

    /// The Redis server that takes the stamps [default: the same as --redis]
    #[arg(long, value_name = "URL", env = "STAMPEDE_LOG_STORE", hide_env_values = true, requires = "redis")]
    pub(crate) log_store: Option<RedisUrl>,

    #[command(flatten)]
    pub(crate) redis_args: RedisArgs,

    /// The Redis list or stream that is the queue
    #[arg(long = "queue-key", alias = "queue", value_name = "KEY", default_value = stamp::keys::DEFAULT_QUEUE)]
    pub(crate) queue: String,
}

impl LocalArgs {
    /// What the stack needs to know.
    ///
    /// # Errors
    /// When the arguments for a service are not quoted like a shell's, or this executable cannot be found.
    pub(crate) fn options(&self, every: SampleEvery) -> anyhow::Result<StackOptions> {
        let words = |option: &str, args: &str| {
            let unclosed = || UsageError(format!("{option} {:?}: a quote is not closed", stamp::mask_value(args)));
            shlex::split(args).ok_or_else(unclosed)
        };
        Ok(StackOptions {
            executable: std::env::current_exe().context("cannot find this executable, which is also the services")?,
            every,
            persistent: false,
            apiserver_args: words("--apiserver-args", &self.apiserver_args)?,
            pushserver_args: words("--pushserver-args", &self.pushserver_args)?,
            mqttclient_args: words("--mqttclient-args", &self.mqttclient_args)?,
        })
    }
}

/// A pipeline that answers.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) target: Target,
    pub(crate) log_store: RedisUrl,
    /// For reading what the services write.
    pub(crate) log: LogStore,
    pub(crate) queue_redis: LogStore,
    pub(crate) queue: String,
    shares_redis: bool,
    stack: Option<Stack>,
}

impl Pipeline {
    /// Starts the local stack, or connects to the pipeline that the arguments name.
    ///
    /// # Errors
    /// When a part does not start, or does not answer.
    pub(crate) async fn open(remote: &RemoteArgs, local: &LocalArgs, every: SampleEvery) -> anyhow::Result<Self> {
        let (target, redis, stack) = if let (Some(target), Some(redis)) = (&remote.target, &remote.redis) {
            (target.clone(), remote.redis_args.reach(redis), None)
        } else {
            let stack = Stack::start(&local.options(every)?).await?;
            let endpoints = stack.endpoints();
            (endpoints.api.parse()?, endpoints.redis.parse()?, Some(stack))
        };
        let log_store = match &remote.log_store {
            Some(log_store) if stack.is_none() => remote.redis_args.reach(log_store),
            _ => redis.clone(),
        };
        let log = LogStore::connect(&log_store).await?;
        let queue_redis = LogStore::connect(&redis).await?;
        let shares_redis = log_store.to_string() == redis.to_string();
        Ok(Self { target, log_store, log, queue_redis, queue: remote.queue.clone(), shares_redis, stack })
    }

    /// Messages that wait in the Redis queue right now.
    pub(crate) async fn backlog(&self) -> anyhow::Result<u64> {
        Ok(self.queue_redis.length(&self.queue).await?)
    }

    /// Whether the Redis server of the queue is the log store, too.
    pub(crate) fn shares_redis(&self) -> bool {
        self.shares_redis
    }

    /// The processes of this pipeline that run on this host as children of this one, and this one.
    pub(crate) fn processes(&self) -> Vec<(String, Process)> {
        let own = ("driver".to_owned(), Process { pid: std::process::id() });
        let part = |stack: &Stack, part: Part| (part.to_string(), Process { pid: stack.pid(part) });
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
    pub(crate) fn ended(&mut self) -> anyhow::Result<()> {
        match &mut self.stack {
            Some(stack) => Ok(stack.ended()?),
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
