//! `driver otlp-receive`: traces of other people's services become stamps.

use clap::ArgMatches;
use otlp::receive::{ReceiveArgs, start};
use reporter::is_set;
use std::process::ExitCode;

pub(crate) async fn run(args: ReceiveArgs, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    // Services listen at any free port unless told otherwise, collectors at a known one.
    start(args, is_set(matches, "listen")).await?;
    Ok(ExitCode::SUCCESS)
}
