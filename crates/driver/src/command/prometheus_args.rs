//! Arguments for who watches a sweep in Prometheus.

use crate::output;
use clap::Args;
use load::Target;
use prometheus::Prometheus;
use service::{ListenAddress, ListenError};
use std::str::FromStr;

#[derive(Debug, Clone, Args)]
pub(crate) struct PrometheusArgs {
    /// Serve the figures of the current level to Prometheus at `http://ADDRESS/metrics`
    #[arg(long, value_name = "ADDRESS")]
    prometheus_listen: Option<ListenAddress>,

    /// Send them every second to Prometheus remote write, for example `http://127.0.0.1:9090/api/v1/write`
    #[arg(
        long,
        value_name = "URL",
        env = "STAMPEDE_REMOTE_WRITE",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    remote_write: Destination,
}

/// Where something is sent; an empty text is nowhere, as environments can hardly leave a variable out.
#[derive(Debug, Clone)]
pub(super) struct Destination(pub(super) Option<Target>);

impl FromStr for Destination {
    type Err = <Target as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|target| Self(Some(target))) }
    }
}

impl PrometheusArgs {
    /// Opens what they ask for.
    /// Fails when the address cannot be listened on.
    pub(crate) async fn open(&self) -> Result<Prometheus, ListenError> {
        Prometheus::open(self.prometheus_listen.clone(), self.remote_write.0.clone(), output::note).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PrometheusArgs,
    }

    #[test]
    fn an_empty_destination_is_none() {
        let destination =
            |args: &[&str]| Line::try_parse_from([&["x"], args].concat()).map(|line| line.args.remote_write);
        assert!(destination(&["--remote-write", ""]).unwrap().0.is_none());
        let there = destination(&["--remote-write", "http://prometheus:9090/api/v1/write"]).unwrap();
        assert_eq!(there.0.unwrap().to_string(), "http://prometheus:9090/api/v1/write");
        assert!(destination(&["--remote-write", "prometheus:9090"]).is_err());
    }
}
