//! The arguments that every service understands.

use crate::ListenAddress;
use clap::{Args, ValueEnum};
use stamp::{ClockMode, RedisArgs, RedisUrl, SampleEvery};
use std::ffi::OsString;
use std::num::NonZeroUsize;

/// Arguments of every service. Secrets in addresses are better given by environment than on the command line.
#[derive(Debug, Clone, Args)]
pub struct ServiceArgs {
    /// Where the service answers HTTP: /healthz, /readyz, /metrics, and its own paths; :PORT is every address of this machine, port 0 a free one
    #[arg(long, value_name = "ADDRESS", env = "STAMPEDE_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: ListenAddress,

    /// How many HTTP connections may be open; more wait to be accepted
    #[arg(long, value_name = "N", env = "STAMPEDE_MAX_CONNECTIONS", default_value = "10000")]
    pub max_connections: NonZeroUsize,

    /// The Redis server that holds the queue
    #[arg(
        long,
        value_name = "URL",
        env = "STAMPEDE_REDIS",
        default_value = "redis://127.0.0.1:6379",
        hide_env_values = true
    )]
    redis: RedisUrl,

    /// The Redis server that takes the stamps and whose TIME is the clock [default: the same as --redis]
    #[arg(long, value_name = "URL", env = "STAMPEDE_LOG_STORE", hide_env_values = true)]
    log_store: Option<RedisUrl>,

    #[command(flatten)]
    redis_args: RedisArgs,

    /// Stamp 1 message in N: those with id % N == 0
    #[arg(long, value_name = "N", env = "STAMPEDE_EVERY", default_value = "100")]
    pub every: SampleEvery,

    /// How the time of an event comes about: by the disciplined clock, or as plain Redis TIME when its stamp is written
    #[arg(long, value_enum, env = "STAMPEDE_CLOCK", default_value = "disciplined")]
    pub clock: Clock,

    /// How the system schedules this process on Linux: batch saves CPU time under load, normal keeps latency low where other programs
    /// keep the processors busy
    #[arg(long, value_enum, env = "STAMPEDE_SCHEDULING", default_value = "batch")]
    pub scheduling: Scheduling,

    /// How logs are written to stderr; `RUST_LOG` sets how much
    #[arg(long, value_enum, env = "STAMPEDE_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

impl ServiceArgs {
    /// The queue's server, with what it takes to get in.
    pub fn redis(&self) -> RedisUrl {
        self.redis_args.reach(&self.redis)
    }

    /// The log store, with what it takes to get in.
    pub fn log_store(&self) -> RedisUrl {
        self.redis_args.reach(self.log_store.as_ref().unwrap_or(&self.redis))
    }
}

/// Reads a service's arguments from anything but the command line, with the same rules and defaults.
///
/// # Errors
/// When they are not what the service understands.
pub fn parse<A: Args>(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<A, clap::Error> {
    let command = A::augment_args(clap::Command::new("service").no_binary_name(true));
    A::from_arg_matches(&command.try_get_matches_from(args)?)
}

/// How the time of an event comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Clock {
    /// Redis time at the event, with an error bound.
    Disciplined,
    /// Redis TIME when the log store takes the stamp.
    Redis,
    /// No tracing at all, neither stamps nor counts: to measure what tracing costs.
    Off,
}

impl From<Clock> for ClockMode {
    fn from(clock: Clock) -> Self {
        match clock {
            Clock::Disciplined => ClockMode::Disciplined,
            Clock::Redis => ClockMode::Redis,
            Clock::Off => ClockMode::Off,
        }
    }
}

/// How the operating system schedules a service's thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheduling {
    /// It waits for an idle processor, or for its turn: fewer switches between processes.
    Batch,
    /// It takes the processor from others when it is woken.
    Normal,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
