//! Arguments that say which pipeline: a private local one, or one that is already there.

use anyhow::Context;
use clap::Args;
use experiment::Site;
use load::Target;
use stack::{Cpus, Replicas, StackOptions};
use stamp::UsageError;
use stamp::{RedisArgs, RedisUrl, SampleEvery};

/// The services of a local stack.
const SERVICES: [&str; 3] = ["apiserver", "pushserver", "mqttclient"];

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

    /// Local apiservers: connections take turns over them
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) apiservers: u16,

    /// Local pushservers, which share the queue
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) pushservers: u16,

    /// Local mqttclients, which split the topic
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) mqttclients: u16,

    /// Limit each local apiserver to this many processors, such as 0.5
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus)]
    pub(crate) apiserver_cpus: Option<f64>,

    /// Limit each local pushserver to this many processors
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus)]
    pub(crate) pushserver_cpus: Option<f64>,

    /// Limit each local mqttclient to this many processors
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus)]
    pub(crate) mqttclient_cpus: Option<f64>,

    /// Limit the local Redis to this many processors
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus)]
    pub(crate) redis_cpus: Option<f64>,

    /// Limit the local Mosquitto to this many processors
    #[arg(long, value_name = "CPUS", value_parser = parse_cpus)]
    pub(crate) mosquitto_cpus: Option<f64>,
}

/// Reads a number of processors.
fn parse_cpus(text: &str) -> Result<f64, String> {
    let cpus = text.parse::<f64>().ok().filter(|cpus| (0.001..=1024.0).contains(cpus));
    cpus.ok_or_else(|| "write a number of processors such as 0.5, from 0.001 to 1024".to_owned())
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
    #[arg(long, alias = "queue", value_name = "KEY", default_value = stamp::keys::DEFAULT_QUEUE)]
    pub(crate) queue_key: String,
}

impl LocalArgs {
    /// The arguments of each service, by its name.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = (&'static str, &String)> {
        SERVICES.into_iter().zip([&self.apiserver_args, &self.pushserver_args, &self.mqttclient_args])
    }

    /// The arguments that a plan gives the services, by their names.
    pub(crate) fn of_plan(local: &plan::Local) -> Self {
        let given = |service: &str| local.arguments.get(service).cloned().unwrap_or_default();
        let [apiserver_args, pushserver_args, mqttclient_args] = SERVICES.map(given);
        let [apiservers, pushservers, mqttclients] =
            SERVICES.map(|service| local.replicas.get(service).copied().unwrap_or(1));
        let cpus = |part: &str| local.cpus.get(part).copied();
        Self {
            apiserver_args,
            pushserver_args,
            mqttclient_args,
            apiservers,
            pushservers,
            mqttclients,
            apiserver_cpus: cpus("apiserver"),
            pushserver_cpus: cpus("pushserver"),
            mqttclient_cpus: cpus("mqttclient"),
            redis_cpus: cpus("redis"),
            mosquitto_cpus: cpus("mosquitto"),
        }
    }

    /// The same as a plan has it.
    pub(crate) fn as_plan(&self) -> plan::Local {
        let replicas = [self.apiservers, self.pushservers, self.mqttclients];
        let cpus = [
            ("apiserver", self.apiserver_cpus),
            ("pushserver", self.pushserver_cpus),
            ("mqttclient", self.mqttclient_cpus),
            ("redis", self.redis_cpus),
            ("mosquitto", self.mosquitto_cpus),
        ];
        let given = self.arguments().filter(|(_, args)| !args.is_empty());
        plan::Local {
            arguments: given.map(|(name, args)| (name.to_owned(), args.clone())).collect(),
            replicas: SERVICES.map(str::to_owned).into_iter().zip(replicas).filter(|(_, count)| *count > 1).collect(),
            cpus: cpus.into_iter().filter_map(|(name, cpus)| Some((name.to_owned(), cpus?))).collect(),
        }
    }

    /// What the stack needs to know.
    /// Fails when the arguments for a service are not quoted like a shell's, or this executable cannot be found.
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
            replicas: Replicas {
                apiserver: self.apiservers,
                pushserver: self.pushservers,
                mqttclient: self.mqttclients,
            },
            cpus: Cpus {
                redis: self.redis_cpus,
                mosquitto: self.mosquitto_cpus,
                apiserver: self.apiserver_cpus,
                pushserver: self.pushserver_cpus,
                mqttclient: self.mqttclient_cpus,
            },
        })
    }
}

impl RemoteArgs {
    /// The pipeline that they name, or else a private local one.
    /// Fails as [`LocalArgs::options`] does.
    pub(crate) fn site(&self, local: &LocalArgs, every: SampleEvery) -> anyhow::Result<Site> {
        let there = self.target.as_ref().and_then(|_| self.there());
        there.map_or_else(|| Ok(Site::Local(local.options(every)?)), Ok)
    }

    /// The pipeline that they name; its API may be loaded by others.
    pub(crate) fn there(&self) -> Option<Site> {
        let redis = self.redis.as_ref()?;
        let log_store = self.redis_args.reach(self.log_store.as_ref().unwrap_or(redis));
        Some(Site::Remote { target: self.target.clone(), redis: self.redis_args.reach(redis), log_store })
    }
}
