//! `driver stack`: the local pipeline in the foreground.

use super::pipeline_args::LocalArgs;
use crate::output;
use clap::Args;
use service::shutdown_on_signal;
use stack::Stack;
use stamp::SampleEvery;
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
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: StackArgs) -> anyhow::Result<ExitCode> {
    let shutdown = shutdown_on_signal()?;
    let options = args.local.options(args.every)?;
    let mut stack = tokio::select! {
        started = Box::pin(Stack::start(&options)) => started?,
        () = shutdown.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    let endpoints = stack.endpoints();
    if args.json {
        output::result(&serde_json::to_string(endpoints)?);
    } else {
        output::result(&format!("api    {}\nredis  {}\nmqtt   {}", endpoints.api, endpoints.redis, endpoints.mqtt));
        output::note("running until Ctrl-C");
    }
    let mut check = tokio::time::interval(CHECK_PERIOD);
    let ended = loop {
        tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            _ = check.tick() => if let Err(error) = stack.ended() { break Err(error) },
        }
    };
    stack.stop().await;
    ended?;
    Ok(ExitCode::SUCCESS)
}
