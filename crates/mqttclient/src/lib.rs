//! The subscriber of the reference pipeline: the phone at the end of the line. It stamps and counts what arrives.
//!
//! Last service of the flow: `broker -> mqttclient`. It must not let one bad payload end it.

mod arrivals;
mod subscriber;

use clap::Args;
use rumqttc::QoS;
use service::mqtt::{MqttArgs, parse_qos};
use service::{ServiceArgs, Shell};
use std::time::Duration;
use subscriber::Subscriber;
use tracing::warn;

/// How long the broker may take to send what it still has once the shutdown has begun.
const FINISH_WITHIN: Duration = Duration::from_secs(4);

/// Arguments of the subscriber.
#[derive(Debug, Clone, Args)]
pub struct MqttclientArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub service: ServiceArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub mqtt: MqttArgs,

    /// The topic filter to subscribe to
    #[arg(long, default_value = "/channel")]
    pub topic: String,

    /// The highest quality of service to receive: 0, 1 or 2
    #[arg(long, default_value = "2", value_parser = parse_qos)]
    pub qos: QoS,
}

/// Runs until the shell's shutdown, and then until everything received is stamped.
///
/// # Errors
/// When the topic is no topic filter, or the HTTP listener fails.
pub async fn run(args: MqttclientArgs, shell: Shell) -> anyhow::Result<()> {
    anyhow::ensure!(rumqttc::valid_filter(&args.topic), "--topic {:?} is no topic filter", args.topic);
    let (tracer, shutdown) = (shell.tracer.clone(), shell.shutdown.clone());
    let subscriber = Subscriber::new(&args, args.mqtt.broker()?, tracer.clone(), shell.readiness.part("mqtt"));
    let subscribing = tokio::spawn(subscriber.run(shutdown));
    shell.serve(axum::Router::new()).await?;
    if tokio::time::timeout(FINISH_WITHIN, subscribing).await.is_err() {
        warn!("the broker did not end the subscription within {} s", FINISH_WITHIN.as_secs());
    }
    service::close(&tracer).await;
    Ok(())
}
