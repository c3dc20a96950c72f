//! Arguments for who looks at messages as traces: Jaeger, Tempo, Grafana.

use super::prometheus_args::Destination;
use super::value::parse_duration;
use crate::output;
use clap::Args;
use load::{Header, InvalidTarget, Trust, TrustError};
use otlp::{Exporter, InvalidCollector, Otlp, OtlpOptions};
use std::str::FromStr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Args)]
pub(crate) struct OtlpArgs {
    /// Send sampled messages as traces, and latencies as histograms, to an OpenTelemetry collector by OTLP/HTTP, after each level: for example
    /// `http://127.0.0.1:4318`
    #[arg(long, value_name = "URL", env = "STAMPEDE_OTLP", hide_env_values = true, value_parser = parse_collector)]
    otlp: Option<Destination>,

    /// An extra header for each request to the collector, for example `Authorization: Bearer TOKEN`; may be repeated
    #[arg(
        long,
        value_name = "NAME: VALUE",
        env = "STAMPEDE_OTLP_HEADERS",
        hide_env_values = true,
        value_delimiter = '\n'
    )]
    otlp_header: Vec<HeaderLine>,

    /// A file of CA certificates (PEM) used to verify the collector [default: the system's]
    #[arg(long, value_name = "FILE", value_parser = parse_ca)]
    otlp_ca: Option<Trust>,

    /// How long sending the traces of one level may take; what is left then is not sent
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration)]
    otlp_within: Duration,

    /// The MQTT topic named in spans
    #[arg(long, value_name = "TOPIC", default_value = "/channel")]
    otlp_topic: String,
}

/// Headers that tell what a request is, and where it goes.
const OWN: [&str; 6] =
    ["Content-Type", "Content-Encoding", "Content-Length", "Transfer-Encoding", "Connection", "Host"];

/// A header, or an empty line: a variable of the environment may be empty, or end with one.
#[derive(Debug, Clone)]
struct HeaderLine(Option<Header>);

impl FromStr for HeaderLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        let name = text.split(':').next().unwrap_or_default().trim();
        match OWN.into_iter().find(|own| name.eq_ignore_ascii_case(own)) {
            Some(own) => Err(format!("{own} is the exporter's own: leave it out")),
            None => text.parse().map(|header| Self(Some(header))),
        }
    }
}

fn parse_collector(text: &str) -> Result<Destination, String> {
    if text.split_once("://").is_some_and(|(scheme, _)| matches!(scheme, "grpc" | "grpcs")) {
        return Err(
            "OTLP over gRPC is not spoken: give the collector's address for OTLP/HTTP, usually http://HOST:4318"
                .to_owned(),
        );
    }
    let destination: Destination = text.parse().map_err(|error: InvalidTarget| error.to_string())?;
    match &destination.0 {
        Some(target) if target.beneath("/v1/traces").is_none() => {
            Err("give the collector's base address, without a query: /v1/traces is added to it".to_owned())
        }
        _ => Ok(destination),
    }
}

/// What cannot be read is known before a load, and not only when its traces are to be sent.
fn parse_ca(text: &str) -> Result<Trust, TrustError> {
    let trust = Trust::File(text.into());
    trust.check().map(|()| trust)
}

impl OtlpArgs {
    fn options(&self, queue: Option<&str>) -> Option<OtlpOptions> {
        Some(OtlpOptions {
            collector: self.otlp.clone()?.0?,
            headers: self
                .otlp_header
                .iter()
                .filter_map(|line| line.0.as_ref())
                .map(|header| (header.name().to_owned(), header.value().to_owned()))
                .collect(),
            trust: self.otlp_ca.clone().unwrap_or(Trust::System),
            queue: queue.map(str::to_owned),
            topic: self.otlp_topic.clone(),
            within: self.otlp_within,
        })
    }

    /// What listens to an experiment, where it is asked for.
    /// Fails when the address is none of a collector.
    pub(super) fn open(&self, queue: &str, stop: &CancellationToken) -> Result<Option<Otlp>, InvalidCollector> {
        self.options(Some(queue)).map(|options| Otlp::open(options, stop, output::note)).transpose()
    }

    /// What sends a report's levels, where it is asked for.
    /// Fails when the address is none of a collector.
    pub(super) fn exporter(&self, queue: Option<&str>) -> Result<Option<Exporter>, InvalidCollector> {
        self.options(queue).map(|options| Exporter::new(options, output::note)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: OtlpArgs,
    }

    fn parsed(args: &[&str]) -> Result<OtlpArgs, clap::Error> {
        Line::try_parse_from([&["x", "--otlp", "http://h"], args].concat()).map(|line| line.args)
    }

    #[test]
    fn empty_lines_are_no_headers() {
        let headers = |text: &str| parsed(&["--otlp-header", text]).map(|args| args.options(None).unwrap().headers);
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for empty in ["", "\n", " \r\n"] {
            assert_eq!(headers(empty).unwrap(), []);
        }
        assert_eq!(headers("A: 1\n\nB: 2\r\n").unwrap(), [header("A", "1"), header("B", "2")]);
        assert!(headers("A: 1\nB").is_err());
    }

    #[test]
    fn headers_of_the_exporter_are_its_own() {
        for header in
            ["Content-Type: text/plain", "content-encoding: br", "Content-Length: 1", "host: h", "A: 1\nHost: h"]
        {
            let told = parsed(&["--otlp-header", header]).unwrap_err().to_string();
            assert!(told.contains("is the exporter's own: leave it out"), "{told}");
        }
        assert!(parsed(&["--otlp-header", "Content-Language: en"]).is_ok());
    }

    #[test]
    fn the_remedy_for_grpc_is_told() {
        let told = Line::try_parse_from(["x", "--otlp", "grpc://h:4317"]).err().unwrap().to_string();
        assert!(told.contains("OTLP/HTTP, usually http://HOST:4318"), "{told}");
    }

    #[test]
    fn certificates_are_read_at_once() {
        let told = parsed(&["--otlp-ca", "/no/such"]).unwrap_err().to_string();
        assert!(told.contains("--otlp-ca") && told.contains("cannot read certificates"), "{told}");
        let told = parsed(&["--otlp-ca", "/dev/null"]).unwrap_err().to_string();
        assert!(told.contains("holds no certificate"), "{told}");
    }
}
