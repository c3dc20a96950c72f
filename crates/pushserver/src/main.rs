//! The pushserver as a process of its own.

use clap::Parser;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(version, about = "pushserver: part of the reference pipeline of Stampede")]
struct Arguments {
    #[command(flatten)]
    own: pushserver::PushserverArgs,
}

fn main() -> ExitCode {
    let Arguments { own } = Arguments::parse();
    service::exit(pushserver::start(own))
}
