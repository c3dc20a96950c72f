//! `driver health`: does an HTTP server answer well? For the health checks of containers without a shell.

use super::value::parse_duration;
use crate::output;
use clap::Args;
use load::{Exchange, Target};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Clone, Args)]
pub(crate) struct HealthArgs {
    /// What is asked, for example `http://127.0.0.1:8080/readyz`
    #[arg(value_name = "URL")]
    target: Target,

    /// How long the answer may take
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    within: Duration,
}

pub(crate) async fn run(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let reply = Exchange::GET.with(&args.target, args.within).await?;
    anyhow::ensure!(reply.is_fine(), "{} answers {}: {}", args.target, reply.status, reply.told());
    output::result(reply.told());
    Ok(ExitCode::SUCCESS)
}
