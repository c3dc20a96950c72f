//! The subscriber: one event of rumqttc after the other.

use crate::{TOPIC, TraceArgs, announce, mqtt, parse_broker, trace};
use clap::Args;
use rumqttc::{Event, EventLoop, Packet, QoS};
use stamp::{Envelope, Stage, Tracer};
use std::net::SocketAddr;

#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    trace: TraceArgs,

    /// The broker
    #[arg(long, value_name = "URL", value_parser = parse_broker)]
    mqtt: SocketAddr,
}

pub(crate) async fn run(args: ClientArgs) -> anyhow::Result<()> {
    let tracer = trace(&args.trace, "client");
    let (client, events) = mqtt(args.mqtt, "client");
    client.subscribe(TOPIC, QoS::AtMostOnce).await?;
    let receiving = tokio::spawn(receive(events, tracer.clone()));
    let shutdown = service::shutdown_on_signal()?;
    tokio::select! {
        ended = receiving => ended??,
        () = shutdown.cancelled() => {}
    }
    service::close(&tracer).await;
    Ok(())
}

async fn receive(mut events: EventLoop, tracer: Tracer) -> anyhow::Result<()> {
    let stage = tracer.stage(&Stage::MQTTCLIENT);
    loop {
        match events.poll().await? {
            Event::Incoming(Packet::SubAck(_)) => announce("client", None),
            Event::Incoming(Packet::Publish(publish)) => {
                if let Ok(envelope) = Envelope::read(&publish.payload) {
                    tracer.run(envelope.run()).stamp(stage, envelope.id);
                }
            }
            _ => {}
        }
    }
}
