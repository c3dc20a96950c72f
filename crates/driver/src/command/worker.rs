//! `driver worker`: a load generator that makes its part of whatever load a coordinator gives it.

use super::value::parse_duration;
use crate::output;
use clap::Args;
use load::Target;
use service::shutdown_on_signal;
use stamp::{RedisArgs, RedisUrl, SampleEvery, ensure_usage};
use std::process::ExitCode;
use std::time::Duration;
use workers::{Left, Told, WorkerOptions, serve};

#[derive(Debug, Clone, Args)]
pub(crate) struct WorkerArgs {
    /// The log store: where workers and coordinators meet, and where stamps go [default: --redis]
    #[arg(long, value_name = "URL", env = "STAMPEDE_LOG_STORE", hide_env_values = true)]
    log_store: Option<RedisUrl>,

    /// The Redis server that is the log store, too
    #[arg(
        long,
        value_name = "URL",
        env = "STAMPEDE_REDIS",
        hide_env_values = true,
        required_unless_present = "log_store"
    )]
    redis: Option<RedisUrl>,

    #[command(flatten)]
    redis_args: RedisArgs,

    /// What it may load: `http://host:port`; may be repeated. Whatever a coordinator asks for, it loads nothing else
    #[arg(long, value_name = "URL", env = "STAMPEDE_ALLOW_TARGET", value_delimiter = ',', required = true)]
    allow_target: Vec<Target>,

    /// Stamp 1 message in N: those with id % N == 0
    #[arg(long, value_name = "N", env = "STAMPEDE_EVERY", default_value = "100")]
    every: SampleEvery,

    /// End when its coordinator has released it: for jobs
    #[arg(long)]
    once: bool,

    /// End, with exit code 1, when nobody has wanted it for so long
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    idle_limit: Option<Duration>,
}

pub(crate) async fn run(args: WorkerArgs) -> anyhow::Result<ExitCode> {
    ensure_usage(
        args.idle_limit.is_none_or(|limit| !limit.is_zero()),
        || "--idle-limit 0s ends a worker before anybody can want it: give a longer one",
    )?;
    let stop = shutdown_on_signal()?;
    let Some(log_store) = args.log_store.as_ref().or(args.redis.as_ref()) else { return Ok(ExitCode::FAILURE) };
    let options = WorkerOptions {
        log_store: args.redis_args.reach(log_store),
        every: args.every,
        allow: args.allow_target,
        once: args.once,
        idle_limit: args.idle_limit,
    };
    let mut away = String::new();
    let mut tell = |told: &Told<'_>| {
        let line = match told {
            Told::Away(why) if away == *why => return,
            Told::Away(why) => {
                (*why).clone_into(&mut away);
                format!("waiting for the log store: {why}")
            }
            Told::Free { instance } => format!("worker {instance} is free, and waits for work"),
            Told::Taken { by } => format!("at work for {by}"),
            Told::Load { number } => format!("load {number} of this coordinator"),
            Told::Refuses(why) => format!("does not make this load: {why}"),
            Told::Deserted { by } => format!("coordinator {by} has gone silent: load stopped; free again"),
        };
        output::note(&line);
    };
    Ok(match serve(&options, &stop, &mut tell).await? {
        Left::Stopped | Left::Released => ExitCode::SUCCESS,
    })
}
