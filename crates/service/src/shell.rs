//! The frame around a service: from its arguments to its last flushed stamp.

use crate::{Readiness, ServiceArgs, health_routes, shutdown_on_signal, telemetry};
use anyhow::Context;
use axum::Router;
use axum::serve::ListenerExt;
use stamp::{Tracer, TracerOptions};
use std::io::Write;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long HTTP requests under way may take to finish.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// How long the last stamps and counts may take to reach the log store.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// What every service has while it runs.
#[derive(Debug)]
pub struct Shell {
    name: &'static str,
    listener: TcpListener,
    /// Counts and stamps messages.
    pub tracer: Tracer,
    /// What the service still waits for.
    pub readiness: Readiness,
    /// Cancelled when the service is to stop taking in messages.
    pub shutdown: CancellationToken,
}

impl Shell {
    /// Opens the shell of a process of its own: logs start, and signals end it.
    ///
    /// # Errors
    /// When the address is taken or the signal handlers cannot be installed.
    pub async fn open(name: &'static str, args: &ServiceArgs) -> anyhow::Result<Self> {
        telemetry::init(args.log_format);
        let shutdown = shutdown_on_signal().context("cannot install signal handlers")?;
        Self::open_with(name, args, shutdown).await
    }

    /// Opens the shell with a shutdown token of the caller's.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn open_with(
        name: &'static str,
        args: &ServiceArgs,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}: choose another address with --listen", args.listen))?;
        let options = TracerOptions {
            every: args.every,
            clock: args.clock.into(),
            service: name.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..TracerOptions::default()
        };
        let tracer = Tracer::start(&args.log_store(), options);
        Ok(Self { name, listener, tracer, readiness: Readiness::default(), shutdown })
    }

    /// Where the service answers HTTP: the real port where 0 was asked for.
    ///
    /// # Errors
    /// When the operating system does not know.
    pub fn address(&self) -> std::io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves `/healthz`, `/readyz` and the service's own routes, and prints the ready line
    /// `{"ready":"<name>","listen":"<address>"}` on stdout once no part is missing, until the shutdown; then finishes
    /// the requests under way.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, own: Router) -> anyhow::Result<()> {
        let address = self.address()?;
        self.readiness.started();
        let announcement = tokio::spawn(announce(self.name, address, self.readiness.clone()));
        let routes = own.merge(health_routes(self.readiness));
        let listener = self.listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                warn!("TCP_NODELAY could not be set: {error}");
            }
        });
        let serving = axum::serve(listener, routes).with_graceful_shutdown(self.shutdown.clone().cancelled_owned());
        let late = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(FINISH_WITHIN).await;
        };
        let ended = tokio::select! {
            ended = serving.into_future() => ended,
            () = late => {
                warn!("requests were still under way {} s after the shutdown began", FINISH_WITHIN.as_secs());
                Ok(())
            }
        };
        announcement.abort();
        ended.context("the HTTP server failed")
    }
}

/// Brings the last stamps and counts to the log store, under a deadline, and takes the service out of the registry.
pub async fn close(tracer: &Tracer) {
    if tokio::time::timeout(FLUSH_WITHIN, tracer.close()).await.is_err() {
        warn!("the last stamps and counts did not reach the log store within {} s", FLUSH_WITHIN.as_secs());
    }
}

#[allow(clippy::print_stdout)]
async fn announce(name: &'static str, address: std::net::SocketAddr, readiness: Readiness) {
    readiness.ready().await;
    println!("{}", serde_json::json!({"ready": name, "listen": address.to_string()}));
    let _ = std::io::stdout().flush();
}
