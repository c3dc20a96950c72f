//! The subscriber of the reference pipeline: the phone at the end of the line. It stamps and counts what arrives.
//!
//! Last service of the flow: `broker -> mqttclient`. It must not let one bad payload end it.

mod arguments;
mod arrivals;
mod subscriber;

pub use arguments::{MqttclientArgs, SessionKind};
pub use arrivals::Memory;

use arrivals::{Arrivals, Bitmaps, Recorder};
use service::{Outage, Shell, mqtt};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use subscriber::Subscriber;
use tokio::task::JoinSet;
use tracing::warn;

/// How long the broker may take to send what it still has once the shutdown has begun.
const FINISH_WITHIN: Duration = Duration::from_secs(4);

/// Runs as a process of its own, until a signal ends it.
///
/// # Errors
/// When its address is taken, and as those of [`run`].
pub fn start(args: MqttclientArgs) -> anyhow::Result<ExitCode> {
    service::start("mqttclient", &args.service.clone(), |shell| run(args, shell))
}

/// Runs until the shell's shutdown, and then until everything received is stamped.
///
/// # Errors
/// When the broker's settings cannot be used, or the HTTP listener fails.
pub async fn run(args: MqttclientArgs, shell: Shell) -> anyhow::Result<()> {
    let broker = args.mqtt.broker()?;
    let (tracer, sessions) = (shell.tracer.clone(), args.sessions());
    let (bitmaps, life) = (Arc::new(Mutex::new(Bitmaps::default())), mqtt::client_id("mqttclient"));
    // All clients tell of one outage of each server.
    let (broker_outage, store_outage) = (Outage::default(), Outage::default());
    let mut clients = JoinSet::new();
    for (number, session) in sessions.into_iter().enumerate() {
        let arrivals = match args.arrivals {
            Memory::Memory => Arrivals::Memory(bitmaps.clone()),
            Memory::LogStore => {
                let (url, client) = (args.service.log_store().clone(), format!("{life}-{number}"));
                let (log_store, reconnects) = (shell.readiness.part("log store"), shell.metrics.reconnects("redis"));
                Arrivals::LogStore(Box::new(Recorder::new(url, client, log_store, store_outage.clone(), reconnects)))
            }
        };
        let (broker, outage) = (broker.clone(), broker_outage.clone());
        let subscriber = Subscriber::new(broker, session, args.filter(), args.qos, arrivals, outage, &shell);
        clients.spawn(subscriber.run(shell.shutdown.clone()));
    }
    shell.serve().await?;
    let ended = async { while clients.join_next().await.is_some() {} };
    if tokio::time::timeout(FINISH_WITHIN, ended).await.is_err() {
        warn!("what was received could not be finished within {} s", FINISH_WITHIN.as_secs());
    }
    // Whoever waits for the log store still has acknowledged nothing, and must not do so after the books are closed.
    clients.shutdown().await;
    service::close(&tracer).await;
    Ok(())
}
