//! Redis to MQTT: workers that each pop one message and publish it, on one shared client.

use crate::{TOPIC, TraceArgs, announce, mqtt, parse_broker, trace};
use anyhow::Context;
use clap::Args;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use rumqttc::{AsyncClient, Event, EventLoop, Packet, QoS};
use stamp::{Envelope, Stage, StageHandle, Tracer, Wait, keys};
use std::net::SocketAddr;
use tokio::task::JoinSet;

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    trace: TraceArgs,

    /// The broker
    #[arg(long, value_name = "URL", value_parser = parse_broker)]
    mqtt: SocketAddr,

    /// Connections that pop from the queue
    #[arg(long, default_value_t = 4)]
    workers: usize,
}

#[derive(Clone)]
struct Worker {
    client: AsyncClient,
    tracer: Tracer,
    pushserver: StageHandle,
    publish: StageHandle,
}

pub(crate) async fn run(args: PushArgs) -> anyhow::Result<()> {
    let tracer = trace(&args.trace, "push");
    let (client, mut events) = mqtt(args.mqtt, "push");
    while !matches!(events.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
    let worker = Worker {
        client,
        pushserver: tracer.stage(&Stage::PUSHSERVER),
        publish: tracer.stage(&Stage::PUBLISH),
        tracer: tracer.clone(),
    };
    let mut tasks = JoinSet::new();
    for _ in 0..args.workers {
        let redis = args.trace.redis.connect(Wait::Forever).await?;
        tasks.spawn(worker.clone().run(redis));
    }
    tasks.spawn(poll(events));
    announce("push", None);
    let shutdown = service::shutdown_on_signal()?;
    tokio::select! {
        // None of them ends but by a fault.
        ended = tasks.join_next() => ended.context("there are no tasks")???,
        () = shutdown.cancelled() => {}
    }
    service::close(&tracer).await;
    Ok(())
}

/// rumqttc moves nothing unless its event loop is polled.
async fn poll(mut events: EventLoop) -> anyhow::Result<()> {
    loop {
        events.poll().await?;
    }
}

impl Worker {
    async fn run(self, mut redis: MultiplexedConnection) -> anyhow::Result<()> {
        loop {
            let (_, body): (String, Vec<u8>) = redis.brpop(keys::DEFAULT_QUEUE, 0.0).await?;
            let trace = Envelope::read(&body).ok().map(|envelope| (self.tracer.run(envelope.run()), envelope.id));
            if let Some((run, id)) = &trace {
                run.stamp(self.pushserver, *id);
            }
            // Returns once the event loop has taken the message, a little before the socket has it.
            self.client.publish(TOPIC, QoS::AtMostOnce, false, body).await?;
            if let Some((run, id)) = &trace {
                run.stamp(self.publish, *id);
            }
        }
    }
}
