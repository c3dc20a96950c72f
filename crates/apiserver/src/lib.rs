//! The API server of the reference pipeline: takes messages by HTTP, puts them in a Redis queue unchanged, and
//! answers 202 only when Redis has them, or as many of its replicas as are asked for.
//!
//! First service of the flow: `driver -> apiserver -> Redis -> pushserver`. It must not keep a message in memory
//! after its answer, nor answer 202 for one that Redis has not confirmed.

mod context;
mod enqueuer;
mod request;
mod routes;
mod writer;

use clap::{Args, ValueEnum};
use enqueuer::Enqueuer;
use routes::{Api, Limits};
use service::queue::QueueArgs;
use service::{ServiceArgs, Shell};
use stamp::Stage;
use std::process::ExitCode;
use writer::Writer;

/// Arguments of the API server.
#[derive(Debug, Clone, Args)]
pub struct ApiserverArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub service: ServiceArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub queue: QueueArgs,

    /// The most messages in the queue: beyond it they are refused with 503, until it is shorter [default: no limit]
    #[arg(long, value_name = "MESSAGES", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_queue: Option<u64>,

    /// Accept a message only once this many replicas of Redis have it, so that a failover to one of them does not lose it; 503 where they do not
    /// confirm it within a second [default: Redis alone]
    #[arg(long, value_name = "N", env = "STAMPEDE_WAIT_REPLICAS", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub wait_replicas: Option<u64>,

    /// What becomes of the header `traceparent` of a request: `carry` puts it into the message as a field of that name, where it has none
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub traceparent: ContextHandling,

    /// The largest body that is accepted, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub max_body: usize,
}

/// What becomes of the trace context that a request's header brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ContextHandling {
    /// It goes along with the message, as its field `traceparent`.
    #[default]
    Carry,
    /// The message goes on as it came.
    Ignore,
}

/// Runs as a process of its own, until a signal ends it.
///
/// # Errors
/// When its address is taken, and as those of [`run`].
pub fn start(args: ApiserverArgs) -> anyhow::Result<ExitCode> {
    service::start("apiserver", &args.service.clone(), |shell| run(args, shell))
}

/// Runs until the shell's shutdown, and then until every accepted message is enqueued and stamped.
///
/// # Errors
/// When the HTTP listener fails.
pub async fn run(args: ApiserverArgs, shell: Shell) -> anyhow::Result<()> {
    let tracer = shell.tracer.clone();
    let writer = Writer {
        url: args.service.redis(),
        queue: args.queue,
        limit: args.max_queue,
        replicas: args.wait_replicas,
        redis: shell.readiness.part("redis"),
        apiserver: tracer.stage(&Stage::APISERVER),
        enqueue: tracer.stage(&Stage::ENQUEUE),
        enqueued: tracer.stage(&Stage::ENQUEUED),
        latency: shell.metrics.latency(&Stage::APISERVER, &Stage::ENQUEUED),
        depth: shell.metrics.gauge("queue_depth", "Messages in the queue when Redis told its length last"),
        reconnects: shell.metrics.reconnects("redis"),
    };
    let limits = Limits { body: args.max_body, body_within: shell.limits.body };
    let api = Api::new(Enqueuer::start(writer), tracer.clone(), limits, args.traceparent);
    shell.serve_posts(routes::routes(), Some(api)).await?;
    service::close(&tracer).await;
    Ok(())
}
