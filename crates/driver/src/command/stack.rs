//! `driver stack`: the local pipeline in the foreground.

use super::beside::Beside;
use super::pipeline_args::LocalArgs;
use crate::output;
use clap::Args;
use service::shutdown_on_signal;
use stack::Stack;
use stamp::SampleEvery;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

/// How often the parts are checked.
const CHECK_PERIOD: Duration = Duration::from_millis(200);

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
        () = shutdown.cancelled() => {
            // What was asked for besides has not been done.
            return Ok(if args.command.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(super::INTERRUPTED) });
        }
    };
    let endpoints = stack.endpoints();
    let mut beside =
        args.command.split_first().map(|(program, rest)| Beside::start(&stack, program, rest)).transpose()?;
    if beside.is_some() {
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
            () = shutdown.cancelled() => break Ok(None),
            code = ended(&mut beside) => break code.map(Some).map_err(anyhow::Error::from),
            _ = check.tick() => if let Err(error) = stack.ended() { break Err(error.into()) },
        }
    };
    let code = match (&mut beside, ended) {
        // The pipeline ends, or a signal has come: the command's end is waited for, and tells how it went.
        (Some(beside), Ok(None)) => Ok(beside.finish().await?),
        (Some(beside), Err(error)) => {
            beside.finish().await?;
            Err(error)
        }
        (_, ended) => ended.map(|code| code.unwrap_or(ExitCode::SUCCESS)),
    };
    stack.stop().await;
    code
}

/// Waits for the command's end; for ever where there is none.
async fn ended(beside: &mut Option<Beside>) -> std::io::Result<ExitCode> {
    match beside {
        Some(beside) => beside.wait().await,
        None => std::future::pending().await,
    }
}
