//! The API server of the reference pipeline: takes messages by HTTP, puts them on a Redis list unchanged, and
//! answers 202 only when Redis has them.
//!
//! First service of the flow: `driver -> apiserver -> Redis -> pushserver`. It must not keep a message in memory
//! after its answer, nor answer 202 for one that Redis has not confirmed.

mod enqueuer;
mod routes;

use clap::Args;
use enqueuer::Enqueuer;
use service::{ServiceArgs, Shell};

/// Arguments of the API server.
#[derive(Debug, Clone, Args)]
pub struct ApiserverArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub service: ServiceArgs,

    /// The Redis list that messages are put on
    #[arg(long, value_name = "KEY", env = "STAMPEDE_QUEUE", default_value = stamp::keys::DEFAULT_QUEUE)]
    pub queue: String,

    /// The largest body that is accepted, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub max_body: usize,
}

/// Runs until the shell's shutdown, and then until every accepted message is enqueued and stamped.
///
/// # Errors
/// When the HTTP listener fails.
pub async fn run(args: ApiserverArgs, shell: Shell) -> anyhow::Result<()> {
    let tracer = shell.tracer.clone();
    let enqueuer = Enqueuer::start(args.service.redis(), args.queue, shell.readiness.part("redis"));
    shell.serve(routes::routes(enqueuer, tracer.clone(), args.max_body)).await?;
    service::close(&tracer).await;
    Ok(())
}
