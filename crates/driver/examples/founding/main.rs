//! The founding design: the same pipeline as a competent person writes it who uses ordinary libraries in the ordinary way and has
//! no thought of batching. One command, one message, one packet, each awaited on tokio's multi-thread runtime. It is the
//! reference of `scripts/bench pipeline`. `TCP_NODELAY` is set everywhere, since nobody who measures would leave it out.
//!
//! Each role is a process of its own. It counts and stamps with the same tracer as the real services, so that `driver` measures
//! both alike.

mod api;
mod client;
mod push;

use clap::{Args, Parser, Subcommand};
use rumqttc::{AsyncClient, EventLoop, MqttOptions, NetworkOptions};
use serde_json::json;
use stamp::{RedisUrl, SampleEvery, Tracer, TracerOptions};
use std::io::Write;
use std::net::SocketAddr;

/// The topic of the reference pipeline.
const TOPIC: &str = "/channel";

/// Publishes that may wait for rumqttc's event loop.
const REQUESTS: usize = 100;

#[derive(Debug, Parser)]
#[command(
    name = "founding",
    about = "The reference of scripts/bench pipeline: a pipeline of ordinary, unbatched parts"
)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// HTTP to Redis
    Api(api::ApiArgs),
    /// Redis to MQTT
    Push(push::PushArgs),
    /// The subscriber
    Client(client::ClientArgs),
}

/// What every role has to know.
#[derive(Debug, Args)]
struct TraceArgs {
    /// The Redis server that holds the queue and takes the stamps
    #[arg(long, value_name = "URL")]
    redis: RedisUrl,

    /// Stamp 1 message in N: those with id % N == 0
    #[arg(long, value_name = "N", default_value = "100")]
    every: SampleEvery,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().role {
        Role::Api(args) => api::run(args).await,
        Role::Push(args) => push::run(args).await,
        Role::Client(args) => client::run(args).await,
    }
}

/// Counts and stamps as the real services do.
fn trace(args: &TraceArgs, role: &str) -> Tracer {
    let service = format!("founding-{role}");
    Tracer::start(&args.redis, TracerOptions { every: args.every, service, ..TracerOptions::default() })
}

/// An MQTT client as rumqttc's documentation shows it.
fn mqtt(broker: SocketAddr, role: &str) -> (AsyncClient, EventLoop) {
    let id = format!("founding-{role}-{}", std::process::id());
    let mut options = MqttOptions::new(id, broker.ip().to_string(), broker.port());
    // Of the size that the real apiserver lets in; 10 KiB is rumqttc's own limit.
    options.set_max_packet_size(2 << 20, 2 << 20);
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    (client, events)
}

/// Reads `mqtt://127.0.0.1:1883`.
fn parse_broker(url: &str) -> Result<SocketAddr, String> {
    let address = url.strip_prefix("mqtt://").and_then(|address| address.parse().ok());
    address.ok_or_else(|| "give the broker as mqtt://<ip address>:<port>".to_owned())
}

/// Prints the line that tells whoever has started this process that it is ready.
#[allow(clippy::print_stdout, reason = "whoever starts it reads the line")]
fn announce(role: &str, listen: Option<SocketAddr>) {
    println!("{}", json!({"ready": role, "listen": listen}));
    let _ = std::io::stdout().flush();
}
