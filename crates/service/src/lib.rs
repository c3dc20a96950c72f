//! The process shell that the services share: arguments, logs, health, metrics, shutdown.
//!
//! A service hands [`Shell`] its name and gets back what every service needs: a [`stamp::Tracer`], a token that
//! ends with the first SIGINT or SIGTERM, a [`Readiness`] that is served as `/healthz` and `/readyz`, and [`Metrics`] that
//! are served as `/metrics`; [`mqtt`] is the connection to the broker. It must not know what any service does with messages.

mod arguments;
mod backoff;
mod garbage;
mod health;
mod http;
mod listen;
pub mod metrics;
pub mod mqtt;
mod outage;
pub mod queue;
mod scheduling;
mod shell;
mod shutdown;
pub mod telemetry;

pub use arguments::{Clock, LogFormat, Scheduling, ServiceArgs, parse};
pub use backoff::Backoff;
pub use garbage::Garbage;
pub use health::{Part, Readiness, health_routes};
pub use http::{HttpLimits, Posts, serve_routes};
pub use listen::{InvalidListen, ListenAddress, ListenError};
pub use metrics::{Counter, Gauge, Latency, Metrics};
pub use outage::Outage;
pub use shell::{Shell, block_on, close, exit, start};
pub use shutdown::shutdown_on_signal;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
