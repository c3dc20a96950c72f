//! The board: what is known of the level under way, and how Prometheus reads it.

use super::distribution::{Distribution, Latencies};
use super::join::Join;
use load::Totals;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use service::metrics::Collector;
use stamp::{Path, RunId, Stamp};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The figures of a sweep's level. Cheap to clone; all clones are the same board.
#[derive(Debug, Clone, Default)]
pub(super) struct Board(Arc<Mutex<Option<Level>>>);

/// One level: under way, or the last one, until the next begins.
#[derive(Debug)]
struct Level {
    run: String,
    number: usize,
    setting: String,
    under_way: bool,
    load: Arc<Totals>,
    join: Join,
}

/// A histogram by its name, its further labels, and what it holds.
pub(super) type Named = (&'static str, Vec<(&'static str, String)>, Distribution);

const RESPONSE: &str = "stampede_load_response";
const ARRIVAL: &str = "stampede_arrival_latency";
const USER: &str = "stampede_user_latency";
const HOP: &str = "stampede_hop_latency";

impl Board {
    pub(super) fn begin(&self, run: &RunId, number: usize, setting: String, path: &Path) {
        let (run, load, join) = (run.to_string(), Arc::default(), Join::new(path));
        *self.lock() = Some(Level { run, number, setting, under_way: true, load, join });
    }

    pub(super) fn tell(&self, load: Arc<Totals>) {
        if let Some(level) = &mut *self.lock() {
            level.load = load;
        }
    }

    /// Takes stamps of one stage, counted along the path.
    pub(super) fn take(&self, stage: usize, stamps: &[Stamp]) {
        if let Some(level) = &mut *self.lock() {
            for stamp in stamps {
                level.join.take(stage, *stamp);
            }
        }
    }

    pub(super) fn end(&self) {
        if let Some(level) = &mut *self.lock() {
            level.under_way = false;
        }
    }

    /// All histograms, for those who can take native ones.
    pub(super) fn histograms(&self) -> Vec<Named> {
        self.lock().as_ref().map(Level::histograms).unwrap_or_default()
    }

    /// A panic elsewhere leaves the figures as they were.
    fn lock(&self) -> MutexGuard<'_, Option<Level>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Level {
    fn histograms(&self) -> Vec<Named> {
        let run = || ("run", self.run.clone());
        let named = |name, latencies: &Latencies| (name, vec![run()], latencies.distribution());
        let mut all = vec![
            (RESPONSE, vec![run()], Distribution::new(self.load.response.clone())),
            named(ARRIVAL, &self.join.arrival),
        ];
        all.extend(self.join.user.as_ref().map(|user| named(USER, user)));
        all.extend(self.join.named_hops().map(|(from, to, hop)| {
            (HOP, vec![run(), ("from", from.to_string()), ("to", to.to_string())], hop.distribution())
        }));
        all
    }

    fn encode(&self, to: &mut Page<'_>) -> fmt::Result {
        let run = ("run", self.run.as_str());
        if self.under_way {
            let labels = [run, ("setting", self.setting.as_str())];
            to.gauge("stampede_sweep_level", "The level under way, counted from 1", &labels, self.number as u64)?;
        }
        let in_flight = "Requests sent and not answered";
        to.gauge("stampede_load_in_flight", in_flight, &[run], self.load.in_flight)?;
        let errors = self.load.errors.iter().map(|(kind, count)| ([run, ("kind", kind.as_str())], *count));
        to.counters("stampede_load_errors", "Requests that were not accepted", errors)?;
        let negative = "Differences below zero between two stamps, which count as zero in the histograms";
        to.counters("stampede_negative_latencies", negative, [([run], self.join.negative)].into_iter())?;
        let histograms = self.histograms();
        for (name, help) in [
            (RESPONSE, "From the intended send of a request to its answer, of accepted requests"),
            (ARRIVAL, "From the API server to the subscriber, of sampled messages"),
            (USER, "From the intended send to the subscriber, of sampled messages"),
            (HOP, "From one stage to the next, of sampled messages"),
        ] {
            let of_name = histograms.iter().filter(|(other, ..)| *other == name);
            to.histograms(name, help, of_name.map(|(_, labels, distribution)| (labels, distribution)))?;
        }
        Ok(())
    }
}

impl Collector for Board {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.lock().as_ref().map_or(Ok(()), |level| level.encode(&mut Page(encoder)))
    }
}

/// Where the metrics are written to.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder.encode_family(labels)?)
    }

    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn histograms<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (&'l Vec<(&'static str, String)>, &'l Distribution)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (labels, distribution) in values {
            let (sum, count) = (distribution.sum_seconds(), distribution.count());
            encoder.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, &distribution.buckets(), None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::Metrics;
    use std::collections::BTreeMap;

    /// The page without its many buckets.
    fn page(board: &Board) -> String {
        let metrics = Metrics::default();
        metrics.add(board.clone());
        let page = metrics.encode().unwrap();
        page.lines().filter(|line| !line.contains("_bucket{")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_level_from_its_begin_to_its_end() {
        let board = Board::default();
        assert_eq!(page(&board), "# EOF");
        let path: Path = "send,apiserver,mqttclient".parse().unwrap();
        board.begin(&"s.c05".parse().unwrap(), 3, "5 connections".to_owned(), &path);
        let errors = BTreeMap::from([("status 503".to_owned(), 2)]);
        board.tell(Arc::new(Totals { errors, in_flight: 4, response: vec![(100, 5), (400, 1)] }));
        for (stage, time_us) in [100, 150, 350].into_iter().enumerate() {
            board.take(stage, &[Stamp { id: 1, time_us, lag_us: None, err_us: None, step: 0 }]);
        }
        insta::assert_snapshot!(page(&board), @r#"
        # HELP stampede_sweep_level The level under way, counted from 1
        # TYPE stampede_sweep_level gauge
        stampede_sweep_level{run="s.c05",setting="5 connections"} 3
        # HELP stampede_load_in_flight Requests sent and not answered
        # TYPE stampede_load_in_flight gauge
        stampede_load_in_flight{run="s.c05"} 4
        # HELP stampede_load_errors Requests that were not accepted
        # TYPE stampede_load_errors counter
        stampede_load_errors_total{run="s.c05",kind="status 503"} 2
        # HELP stampede_negative_latencies Differences below zero between two stamps, which count as zero in the histograms
        # TYPE stampede_negative_latencies counter
        stampede_negative_latencies_total{run="s.c05"} 0
        # HELP stampede_load_response_seconds From the intended send of a request to its answer, of accepted requests
        # TYPE stampede_load_response_seconds histogram
        # UNIT stampede_load_response_seconds seconds
        stampede_load_response_seconds_sum{run="s.c05"} 0.0009
        stampede_load_response_seconds_count{run="s.c05"} 6
        # HELP stampede_arrival_latency_seconds From the API server to the subscriber, of sampled messages
        # TYPE stampede_arrival_latency_seconds histogram
        # UNIT stampede_arrival_latency_seconds seconds
        stampede_arrival_latency_seconds_sum{run="s.c05"} 0.0002
        stampede_arrival_latency_seconds_count{run="s.c05"} 1
        # HELP stampede_user_latency_seconds From the intended send to the subscriber, of sampled messages
        # TYPE stampede_user_latency_seconds histogram
        # UNIT stampede_user_latency_seconds seconds
        stampede_user_latency_seconds_sum{run="s.c05"} 0.00025
        stampede_user_latency_seconds_count{run="s.c05"} 1
        # HELP stampede_hop_latency_seconds From one stage to the next, of sampled messages
        # TYPE stampede_hop_latency_seconds histogram
        # UNIT stampede_hop_latency_seconds seconds
        stampede_hop_latency_seconds_sum{run="s.c05",from="send",to="apiserver"} 0.00005
        stampede_hop_latency_seconds_count{run="s.c05",from="send",to="apiserver"} 1
        stampede_hop_latency_seconds_sum{run="s.c05",from="apiserver",to="mqttclient"} 0.0002
        stampede_hop_latency_seconds_count{run="s.c05",from="apiserver",to="mqttclient"} 1
        # EOF
        "#);
        board.end();
        assert!(!page(&board).contains("stampede_sweep_level{"));
        assert!(page(&board).contains("stampede_arrival_latency_seconds_count{run=\"s.c05\"} 1"));
    }
}
