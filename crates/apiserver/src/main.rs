//! The apiserver as a process of its own.

use clap::Parser;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(version, about = "apiserver: part of the reference pipeline of Stampede")]
struct Arguments {
    #[command(flatten)]
    own: apiserver::ApiserverArgs,
}

fn main() -> ExitCode {
    let Arguments { own } = Arguments::parse();
    service::exit(apiserver::start(own))
}
