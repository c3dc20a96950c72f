//! What the push server can be told.

use clap::{Args, ValueEnum};
use rumqttc::QoS;
use service::ServiceArgs;
use service::mqtt::{MqttArgs, parse_qos, parse_topic};
use service::queue::QueueArgs;
use stamp::UsageError;
use std::time::Duration;

/// Arguments of the push server.
#[derive(Debug, Clone, Args)]
pub struct PushserverArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub service: ServiceArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub queue: QueueArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub mqtt: MqttArgs,

    /// The topic that messages are published on
    #[arg(long, default_value = "/channel", value_parser = parse_topic)]
    pub topic: String,

    /// Quality of service: 0, 1 or 2 [default: 0, or 1 with --delivery at-least-once]
    #[arg(long, value_parser = parse_qos)]
    pub qos: Option<QoS>,

    /// What becomes of a message when this process, or Redis, or the broker ends in the middle
    #[arg(long, value_enum, env = "STAMPEDE_DELIVERY", default_value = "at-most-once")]
    pub delivery: Delivery,

    /// How messages come from the workers to the broker
    #[arg(long, value_enum, default_value = "channel")]
    pub handoff: Handoff,

    /// Connections to the broker, shared by the workers, with --handoff channel; at most one for each worker is used [default: 4, or 1 at
    /// quality of service 1 and 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub publishers: Option<u16>,

    /// Connections that take messages from the queue
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,

    /// The most messages that one worker takes at a time
    #[arg(long, default_value = "128", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub batch: u16,

    /// How long a push server may be silent until others take over what it held
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_lease)]
    pub lease: Duration,

    /// How long Redis may take for the answer to a worker's command, beyond which the worker connects anew: no command waits on purpose for more than
    /// half a second, but a batch of large messages may be long on its way. Nobody sets it but tests.
    #[arg(skip = ANSWERED_WITHIN)]
    pub answered_within: Duration,
}

/// See [`PushserverArgs::answered_within`].
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// What becomes of a message when something ends in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Delivery {
    /// It leaves Redis before it is published, and may be lost.
    AtMostOnce,
    /// It leaves Redis once the broker has acknowledged it, and may come twice.
    AtLeastOnce,
}

/// How messages come from the workers to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Handoff {
    /// Each worker has a connection to the broker, and takes more when what it took is published.
    Inline,
    /// The workers hand what they take to the publishers, and go on.
    Channel,
}

impl PushserverArgs {
    /// How many connections to the broker there are to be.
    ///
    /// A broker such as Mosquitto takes one packet from each connection in turn: over several of them it takes more with each look at its
    /// sockets. Where the subscriber acknowledges, its packets take turns with those of all publishers, and under load fall behind.
    pub(crate) fn connections(&self, qos: QoS) -> u16 {
        match self.handoff {
            // Each worker has one of its own.
            Handoff::Inline => self.workers,
            Handoff::Channel => {
                let usual = if qos == QoS::AtMostOnce { 4 } else { 1 };
                self.publishers.unwrap_or(usual).min(self.workers)
            }
        }
    }

    /// The quality of service that was asked for, or follows from the rest.
    /// Fails when the delivery asked for cannot be had with it.
    pub(crate) fn checked_qos(&self) -> Result<QoS, UsageError> {
        let least = match self.delivery {
            Delivery::AtMostOnce => QoS::AtMostOnce,
            Delivery::AtLeastOnce => QoS::AtLeastOnce,
        };
        let qos = self.qos.unwrap_or(least);
        stamp::ensure_usage(
            qos >= least,
            || "--qos 0 has no acknowledgements, which --delivery at-least-once needs: give --qos 1 or 2",
        )?;
        Ok(qos)
    }
}

fn parse_lease(text: &str) -> Result<Duration, String> {
    let lease = stamp::parse_duration(text)?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(3600);
    if allowed.contains(&lease) { Ok(lease) } else { Err("give a time from 1s to 1h".to_owned()) }
}
