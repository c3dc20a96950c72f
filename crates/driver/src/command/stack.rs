//! `driver stack`: the local pipeline in the foreground.

use super::pipeline_args::LocalArgs;
use crate::output;
use anyhow::Context;
use clap::Args;
use service::shutdown_on_signal;
use stack::{Part, Stack};
use stamp::SampleEvery;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use std::time::Duration;
use tokio::process::Child;
use tokio::time::timeout;

/// How often the parts are checked.
const CHECK_PERIOD: Duration = Duration::from_millis(200);

/// How long the command may take to end by itself, once the pipeline ends.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Args)]
pub(crate) struct StackArgs {
    #[command(flatten)]
    local: LocalArgs,

    /// Stamp 1 message in N: those with id % N == 0
    #[arg(long, value_name = "N", default_value = "100")]
    every: SampleEvery,

    /// Print the addresses and process ids as one line of JSON
    #[arg(long, conflicts_with = "command")]
    json: bool,

    /// Run this beside the pipeline, and end with its exit code: it finds DRIVER, API, REDIS, MQTT, QUEUE and `PID_APISERVER` … in its environment
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) async fn run(args: StackArgs) -> anyhow::Result<ExitCode> {
    let shutdown = shutdown_on_signal()?;
    let options = args.local.options(args.every)?;
    let mut stack = tokio::select! {
        started = Box::pin(Stack::start(&options)) => started?,
        () = shutdown.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    let endpoints = stack.endpoints();
    let mut command = match args.command.split_first() {
        Some((program, rest)) => Some(beside(&stack, program, rest)?),
        None => None,
    };
    if command.is_some() {
        // It speaks for itself.
    } else if args.json {
        output::result(&serde_json::to_string(endpoints)?);
    } else {
        output::result(&format!("api    {}\nredis  {}\nmqtt   {}", endpoints.api, endpoints.redis, endpoints.mqtt));
        output::note("running until Ctrl-C");
    }
    let mut check = tokio::time::interval(CHECK_PERIOD);
    let ended = loop {
        tokio::select! {
            () = shutdown.cancelled() => break Ok(ExitCode::SUCCESS),
            status = ended(&mut command) => break status.map_err(Into::into),
            _ = check.tick() => if let Err(error) = stack.ended() { break Err(error.into()) },
        }
    };
    if let Some(command) = &mut command {
        // Ctrl-C has reached it, too: it may end by itself. Whoever has ended already is not harmed.
        let _ = timeout(PATIENCE, command.wait()).await;
        let _ = command.start_kill();
    }
    stack.stop().await;
    ended
}

/// Starts a command that finds the pipeline in its environment.
fn beside(stack: &Stack, program: &OsStr, rest: &[OsString]) -> anyhow::Result<Child> {
    let endpoints = stack.endpoints();
    let mut command = tokio::process::Command::new(program);
    command.args(rest).env("DRIVER", std::env::current_exe()?);
    let places =
        [("API", &endpoints.api), ("REDIS", &endpoints.redis), ("MQTT", &endpoints.mqtt), ("QUEUE", &endpoints.queue)];
    command.envs(places);
    let pid = |part: Part| (format!("PID_{}", part.to_string().to_uppercase()), stack.pid(part).to_string());
    command.envs(Part::all().map(pid));
    let started = command.kill_on_drop(true).spawn();
    started.with_context(|| format!("cannot run {}", program.display()))
}

/// Waits for the command's end; for ever where there is none.
async fn ended(command: &mut Option<Child>) -> std::io::Result<ExitCode> {
    let Some(command) = command else { return std::future::pending().await };
    let status = command.wait().await?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
