//! The mqttclient as a process of its own.

use clap::Parser;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(version, about = "mqttclient: part of the reference pipeline of Stampede")]
struct Arguments {
    #[command(flatten)]
    own: mqttclient::MqttclientArgs,
}

fn main() -> ExitCode {
    let Arguments { own } = Arguments::parse();
    service::exit(mqttclient::start(own))
}
