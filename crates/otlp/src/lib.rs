//! Traces in the form that other tools read: OTLP, the protocol of OpenTelemetry. Every sampled message becomes a trace, with a span for each hop; every
//! level's latencies become histograms.
//!
//! Out of there, it listens to an experiment, and sends when a level has been measured: never while a load is under way. Nothing of a report comes from here, and a
//! collector that is down, slow or full is a note, no more.

mod answer;
mod attribute;
mod budget;
mod export;
mod hop;
mod identity;
mod listen;
mod metrics;
pub mod receive;
mod sender;
mod services;
mod spans;

pub use export::{Exporter, InvalidCollector, OtlpOptions, Sent};
pub use listen::Otlp;
pub use services::Services;

/// The version of the semantic conventions whose attributes are used.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";
