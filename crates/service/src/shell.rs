//! The frame around a service: from its arguments to its last flushed stamp.

use crate::http::{HttpServer, NoPosts, Posts};
use crate::metrics::{Metrics, metrics_route};
use crate::scheduling::prefer_batches;
use crate::{HttpLimits, Readiness, Scheduling, ServiceArgs, health_routes, shutdown_on_signal, telemetry};
use anyhow::Context;
use axum::Router;
use stamp::{Tracer, TracerOptions, UsageError, WRONG_USAGE};
use std::io::Write;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long the last stamps and counts may take to reach the log store.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// What every service has while it runs.
#[derive(Debug)]
pub struct Shell {
    name: &'static str,
    listener: TcpListener,
    /// Counts and stamps messages.
    pub tracer: Tracer,
    /// What the service tells about itself while it runs.
    pub metrics: Metrics,
    /// What clients may take of its HTTP server.
    pub limits: HttpLimits,
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
        telemetry::init(args.log_format, name);
        stamp::process::raise_open_files();
        let shutdown = shutdown_on_signal().context("cannot install signal handlers")?;
        let shell = Self::open_with(name, args, shutdown).await?;
        // After the clock's thread has been started, which is to answer at once.
        if args.scheduling == Scheduling::Batch {
            prefer_batches();
        }
        Ok(shell)
    }

    /// Opens the shell with a shutdown token of the caller's. Boxed, so that it is compiled here and once.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn open_with<'a>(
        name: &'static str,
        args: &'a ServiceArgs,
        shutdown: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = anyhow::Result<Self>> + Send + 'a>> {
        Box::pin(async move {
            let listener = args.listen.bind("--listen").await?;
            let version = env!("CARGO_PKG_VERSION");
            let options = TracerOptions {
                every: args.every,
                clock: args.clock.into(),
                service: name.to_owned(),
                version: version.to_owned(),
                ..TracerOptions::default()
            };
            let tracer = Tracer::start(&args.log_store(), options);
            let readiness = Readiness::default();
            let metrics = Metrics::of_service(name, version, &readiness, tracer.observer());
            let limits = HttpLimits { connections: args.max_connections.get(), ..HttpLimits::default() };
            Ok(Self { name, listener, tracer, metrics, limits, readiness, shutdown })
        })
    }

    /// Where the service answers HTTP: the real port where 0 was asked for.
    ///
    /// # Errors
    /// When the operating system does not know.
    pub fn address(&self) -> std::io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves `/healthz`, `/readyz`, `/metrics`, and prints the ready line `{"ready":"<name>","listen":"<address>"}` on
    /// stdout once no part is missing, until the shutdown; then finishes the requests under way.
    ///
    /// # Errors
    /// When the listener's address is unknown to the system.
    pub fn serve(self) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> {
        self.serve_routes(Router::new())
    }

    /// The same for a service with routes of its own. Boxed, so that it is compiled here and once.
    ///
    /// # Errors
    /// When the listener's address is unknown to the system.
    pub fn serve_routes(self, own: Router) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> {
        Box::pin(self.serve_posts(own, None::<NoPosts>))
    }

    /// The same for a service that answers POST requests itself; all others go to its routes.
    ///
    /// # Errors
    /// When the listener's address is unknown to the system.
    pub async fn serve_posts(self, own: Router, posts: Option<impl Posts>) -> anyhow::Result<()> {
        let address = self.address()?;
        self.readiness.started();
        let announcement = tokio::spawn(announce(self.name, address, self.readiness.clone()));
        let routes = own.merge(health_routes(self.readiness)).merge(metrics_route(self.metrics.clone()));
        HttpServer::new(routes, posts, self.limits, &self.metrics).serve(self.listener, &self.shutdown).await;
        announcement.abort();
        Ok(())
    }
}

/// Runs a service as a process of its own, until a signal ends it.
///
/// # Errors
/// When its address is taken or the signal handlers cannot be installed, and those of `run`.
pub fn start<R>(name: &'static str, args: &ServiceArgs, run: impl FnOnce(Shell) -> R) -> anyhow::Result<ExitCode>
where
    R: Future<Output = anyhow::Result<()>>,
{
    block_on(Box::pin(async {
        run(Shell::open(name, args).await?).await?;
        Ok(ExitCode::SUCCESS)
    }))
}

/// Runs the whole of a process on this thread. Boxed, so that the loop under it is compiled here and once, however its caller is.
///
/// # Errors
/// When the system refuses what a runtime needs, and those of the process.
pub fn block_on(process: Pin<Box<dyn Future<Output = anyhow::Result<ExitCode>> + '_>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(process)
}

/// The exit code of a service, whose error is told.
#[allow(clippy::print_stderr)]
pub fn exit(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(if error.is::<UsageError>() { WRONG_USAGE } else { 1 })
    })
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
