//! The push server of the reference pipeline: takes messages from the Redis list and publishes them by MQTT.
//!
//! Second service of the flow: `Redis -> pushserver -> broker`. Workers pop in batches and hand what they have to one
//! publisher over a bounded channel: a slow broker therefore leaves the backlog in Redis, never in this process.
//! It must not change a message's bytes.

mod outbox;
mod popper;
mod publisher;

use bytes::Bytes;
use clap::Args;
use popper::Popper;
use publisher::Publisher;
use rumqttc::QoS;
use service::mqtt::{BrokerUrl, parse_qos};
use service::{Garbage, ServiceArgs, Shell};
use stamp::{MsgId, RunTrace, Stage};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::warn;

/// Messages between the two halves.
const HANDED_OVER: usize = 1024;

/// How long what has been popped may take to reach the broker once the shutdown has begun.
const FINISH_WITHIN: Duration = Duration::from_secs(4);

/// Arguments of the push server.
#[derive(Debug, Clone, Args)]
pub struct PushserverArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub service: ServiceArgs,

    /// The Redis list that messages are taken from
    #[arg(long, value_name = "KEY", env = "STAMPEDE_QUEUE", default_value = stamp::keys::DEFAULT_QUEUE)]
    pub queue: String,

    /// The broker
    #[arg(
        long,
        value_name = "URL",
        env = "STAMPEDE_MQTT",
        default_value = "mqtt://127.0.0.1:1883",
        hide_env_values = true
    )]
    pub mqtt: BrokerUrl,

    /// The topic that messages are published on
    #[arg(long, default_value = "/channel")]
    pub topic: String,

    /// Quality of service: 0, 1 or 2
    #[arg(long, default_value = "0", value_parser = parse_qos)]
    pub qos: QoS,

    /// Connections that pop from the queue
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,

    /// The most messages that one pop takes
    #[arg(long, default_value = "128", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub batch: u16,
}

/// A message on its way from the queue to the broker.
#[derive(Debug, Clone)]
struct Message {
    body: Bytes,
    /// What it is stamped with; none for what is no envelope, which is forwarded all the same.
    trace: Option<(RunTrace, MsgId)>,
}

/// Runs until the shell's shutdown, and then until everything popped is published and stamped.
///
/// # Errors
/// When the topic is no topic, or the HTTP listener fails.
pub async fn run(args: PushserverArgs, shell: Shell) -> anyhow::Result<()> {
    anyhow::ensure!(
        rumqttc::valid_topic(&args.topic) && !args.topic.is_empty(),
        "--topic {:?} is no topic to publish on: + and # are for subscribers",
        args.topic
    );
    let (tracer, shutdown) = (shell.tracer.clone(), shell.shutdown.clone());
    let (messages, handed_over) = mpsc::channel(HANDED_OVER);
    let halves = TaskTracker::new();
    for _ in 0..args.workers {
        let popper = Popper {
            url: args.service.redis(),
            queue: args.queue.clone(),
            batch: args.batch,
            redis: shell.readiness.part("redis"),
            stage: tracer.stage(&Stage::PUSHSERVER),
            garbage: Garbage::new("the queue", &tracer),
            tracer: tracer.clone(),
        };
        halves.spawn(popper.run(messages.clone(), shutdown.clone()));
    }
    drop(messages);
    let stage = tracer.stage(&Stage::PUBLISH);
    halves.spawn(Publisher::new(&args, stage, shell.readiness.part("mqtt")).run(handed_over));
    halves.close();
    shell.serve(axum::Router::new()).await?;
    if tokio::time::timeout(FINISH_WITHIN, halves.wait()).await.is_err() {
        warn!("not everything popped could be published within {} s", FINISH_WITHIN.as_secs());
    }
    service::close(&tracer).await;
    Ok(())
}
