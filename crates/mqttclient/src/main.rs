//! The mqttclient as a process of its own.

use clap::Parser;

#[derive(Debug, Parser)]
#[command(version, about = "mqttclient: part of the reference pipeline of Stampede")]
struct Arguments {
    #[command(flatten)]
    own: mqttclient::MqttclientArgs,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { own } = Arguments::parse();
    let shell = service::Shell::open("mqttclient", &own.service).await?;
    mqttclient::run(own, shell).await
}
