//! Arguments that say which pipeline: a private local one, or one that is already there.

use anyhow::Context;
use clap::Args;
use experiment::Site;
use load::Target;
use stack::StackOptions;
use stamp::UsageError;
use stamp::{RedisArgs, RedisUrl, SampleEvery};
use std::collections::BTreeMap;

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
    /// The arguments that a plan gives the services, by their names.
    pub(crate) fn of_plan(arguments: &BTreeMap<String, String>) -> Self {
        let given = |service: &str| arguments.get(service).cloned().unwrap_or_default();
        let [apiserver_args, pushserver_args, mqttclient_args] = ["apiserver", "pushserver", "mqttclient"].map(given);
        Self { apiserver_args, pushserver_args, mqttclient_args }
    }

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

impl RemoteArgs {
    /// The pipeline that they name, or else a private local one.
    ///
    /// # Errors
    /// As those of [`LocalArgs::options`].
    pub(crate) fn site(&self, local: &LocalArgs, every: SampleEvery) -> anyhow::Result<Site> {
        let (Some(target), Some(redis)) = (&self.target, &self.redis) else {
            return Ok(Site::Local(local.options(every)?));
        };
        let log_store = self.redis_args.reach(self.log_store.as_ref().unwrap_or(redis));
        Ok(Site::Remote { target: Some(target.clone()), redis: self.redis_args.reach(redis), log_store })
    }
}
