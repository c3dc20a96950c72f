//! What a service tells about itself while it runs: `/metrics`, in the text format of `OpenMetrics`.
//!
//! Whatever is asked for on the message path is a plain atomic that was looked up once. What costs more (the books of
//! the tracer, the process's memory) is read when somebody asks. docs/metrics.md lists what is served.

mod latency;
mod page;
mod vitals;

pub use latency::{BOUNDS_NS, Latency};
pub use page::Page;
pub use prometheus_client::collector::Collector;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;

use crate::Readiness;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{Router, get};
use prometheus_client::encoding::text;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use stamp::{Observer, Stage};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vitals::Vitals;

/// The media type that the `OpenMetrics` specification asks for.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels<const N: usize> = [(&'static str, String); N];

/// The metrics of one service. Cheap to clone; all clones are the same metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    inner: Arc<Mutex<Inner>>,
    latencies: Family<Labels<2>, Latency>,
    reconnects: Family<Labels<1>, Counter>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    counters: HashMap<String, Counter>,
    gauges: HashMap<String, Gauge>,
}

impl Default for Metrics {
    /// Metrics of no service: for parts that are used, or tested, without one.
    fn default() -> Self {
        let (mut registry, latencies, reconnects) = (Registry::default(), Family::default(), Family::default());
        registry.register_with_unit(
            "stampede_stage_latency",
            "Time of a message from one stage to another, on this process's clock",
            Unit::Seconds,
            Family::clone(&latencies),
        );
        registry.register(
            "stampede_reconnects",
            "Connections to a server that were made again after a loss",
            Family::clone(&reconnects),
        );
        let inner = Inner { registry, counters: HashMap::new(), gauges: HashMap::new() };
        Self { inner: Arc::new(Mutex::new(inner)), latencies, reconnects }
    }
}

impl Metrics {
    /// The metrics of a service, with those that every service has.
    pub(crate) fn of_service(service: &str, version: &str, readiness: &Readiness, tracer: Observer) -> Self {
        let metrics = Self::default();
        let vitals = Vitals::new(service, version, readiness.clone(), tracer);
        metrics.lock().registry.register_collector(Box::new(vitals));
        metrics
    }

    /// The metrics of a program that is no service, but is watched like one. It has no readiness of its own: it is ready.
    pub fn of_program(name: &str, version: &str, tracer: Observer) -> Self {
        let readiness = Readiness::default();
        readiness.started();
        Self::of_service(name, version, &readiness, tracer)
    }

    /// Adds metrics that are read when somebody asks for them.
    pub fn add(&self, collector: impl Collector) {
        self.lock().registry.register_collector(Box::new(collector));
    }
    /// The counter `stampede_<name>_total`; always the same for the same name.
    ///
    /// # Panics
    /// When a gauge has that name.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let mut inner = self.lock();
        let Inner { registry, counters, gauges } = &mut *inner;
        assert!(!gauges.contains_key(name), "the metric {name} is a gauge already");
        let new = || {
            let counter = Counter::default();
            registry.register(format!("stampede_{name}"), help, counter.clone());
            counter
        };
        counters.entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// The gauge `stampede_<name>`; always the same for the same name.
    ///
    /// # Panics
    /// When a counter has that name.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let mut inner = self.lock();
        let Inner { registry, counters, gauges } = &mut *inner;
        assert!(!counters.contains_key(name), "the metric {name} is a counter already");
        let new = || {
            let gauge = Gauge::default();
            registry.register(format!("stampede_{name}"), help, gauge.clone());
            gauge
        };
        gauges.entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// The histogram `stampede_stage_latency_seconds{from,to}`; always the same for the same stages.
    pub fn latency(&self, from: &Stage, to: &Stage) -> Latency {
        self.latencies.get_or_create_owned(&[("from", from.to_string()), ("to", to.to_string())])
    }

    /// The counter `stampede_reconnects_total{server}`; always the same for the same server, for example `redis`.
    pub fn reconnects(&self, server: &'static str) -> Counter {
        self.reconnects.get_or_create_owned(&[("server", server.to_owned())])
    }

    /// All metrics as they are now, in the text format of `OpenMetrics`.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut encoded = String::new();
        text::encode(&mut encoded, &self.lock().registry)?;
        Ok(encoded)
    }

    /// A panic while one is registered leaves the others as they were.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /metrics`.
pub(crate) fn metrics_route(metrics: Metrics) -> Router {
    Router::new().route("/metrics", get(serve)).with_state(metrics)
}

async fn serve(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(encoded) => ([(CONTENT_TYPE, OPEN_METRICS)], encoded).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the metrics: {error}\n")).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_again_gets_the_same_metric() {
        let metrics = Metrics::default();
        let _ = metrics.counter("batches", "Batches").inc();
        let _ = metrics.clone().counter("batches", "Batches").inc();
        metrics.gauge("backlog", "Messages that wait").set(3);
        metrics.gauge("backlog", "Messages that wait").inc();
        let _ = metrics.reconnects("redis").inc();
        let _ = metrics.reconnects("redis").inc();
        insta::assert_snapshot!(metrics.encode().unwrap(), @r#"
        # HELP stampede_reconnects Connections to a server that were made again after a loss.
        # TYPE stampede_reconnects counter
        stampede_reconnects_total{server="redis"} 2
        # HELP stampede_batches Batches.
        # TYPE stampede_batches counter
        stampede_batches_total 2
        # HELP stampede_backlog Messages that wait.
        # TYPE stampede_backlog gauge
        stampede_backlog 4
        # EOF
        "#);
    }

    #[test]
    #[should_panic(expected = "the metric backlog is a gauge already")]
    fn one_name_is_not_two_kinds() {
        let metrics = Metrics::default();
        let _ = metrics.gauge("backlog", "Messages that wait");
        let _ = metrics.counter("backlog", "Messages that waited");
    }
}
