//! The pushserver as a process of its own.

use clap::Parser;

#[derive(Debug, Parser)]
#[command(version, about = "pushserver: part of the reference pipeline of Stampede")]
struct Arguments {
    #[command(flatten)]
    own: pushserver::PushserverArgs,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { own } = Arguments::parse();
    let shell = service::Shell::open("pushserver", &own.service).await?;
    pushserver::run(own, shell).await
}
