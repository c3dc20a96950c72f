//! The apiserver as a process of its own.

use clap::Parser;

#[derive(Debug, Parser)]
#[command(version, about = "apiserver: part of the reference pipeline of Stampede")]
struct Arguments {
    #[command(flatten)]
    own: apiserver::ApiserverArgs,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { own } = Arguments::parse();
    let shell = service::Shell::open("apiserver", &own.service).await?;
    apiserver::run(own, shell).await
}
