//! Arguments for who looks at messages as traces: Jaeger, Tempo, Grafana.

use super::prometheus_args::Destination;
use super::value::parse_duration;
use crate::output;
use clap::Args;
use load::{Header, Trust};
use otlp::{Exporter, InvalidCollector, Otlp, OtlpOptions};
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Args)]
pub(crate) struct OtlpArgs {
    /// Send sampled messages as traces, and latencies as histograms, to an OpenTelemetry collector by OTLP/HTTP, after each level: for example
    /// `http://127.0.0.1:4318`
    #[arg(long, value_name = "URL", env = "STAMPEDE_OTLP", hide_env_values = true)]
    otlp: Option<Destination>,

    /// A header for the collector, for example `Authorization: Bearer TOKEN`; may be repeated
    #[arg(
        long,
        value_name = "NAME: VALUE",
        env = "STAMPEDE_OTLP_HEADERS",
        hide_env_values = true,
        value_delimiter = '\n'
    )]
    otlp_header: Vec<Header>,

    /// A file of certificates of the authorities that the collector's is trusted by [default: the system's]
    #[arg(long, value_name = "FILE")]
    otlp_ca: Option<PathBuf>,

    /// How long sending the traces of one level may take; what is left then is not sent
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration)]
    otlp_within: Duration,

    /// The MQTT topic that traces tell
    #[arg(long, value_name = "TOPIC", default_value = "/channel")]
    otlp_topic: String,
}

impl OtlpArgs {
    fn options(&self, queue: Option<&str>) -> Option<OtlpOptions> {
        Some(OtlpOptions {
            collector: self.otlp.clone()?.0?,
            headers: self
                .otlp_header
                .iter()
                .map(|header| (header.name().to_owned(), header.value().to_owned()))
                .collect(),
            trust: self.otlp_ca.clone().map_or(Trust::System, Trust::File),
            queue: queue.map(str::to_owned),
            topic: self.otlp_topic.clone(),
            within: self.otlp_within,
        })
    }

    /// What listens to an experiment, where it is asked for.
    ///
    /// # Errors
    /// When the address is none of a collector.
    pub(super) fn open(&self, queue: &str, stop: &CancellationToken) -> Result<Option<Otlp>, InvalidCollector> {
        self.options(Some(queue)).map(|options| Otlp::open(options, stop, output::note)).transpose()
    }

    /// What sends a report's levels, where it is asked for.
    ///
    /// # Errors
    /// When the address is none of a collector.
    pub(super) fn exporter(&self, queue: Option<&str>) -> Result<Option<Exporter>, InvalidCollector> {
        self.options(queue).map(|options| Exporter::new(options, output::note)).transpose()
    }
}
