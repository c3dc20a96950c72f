//! The board: what is known of the level under way, and how Prometheus reads it.

use super::distribution::{Distribution, Latencies};
use super::latencies::RunLatencies;
use load::Totals;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use service::metrics::{Collector, Page};
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
    latencies: RunLatencies,
}

/// A histogram by its name, its further labels, and what it holds.
pub(super) type Named = (&'static str, Vec<(&'static str, String)>, Distribution);

const RESPONSE: &str = "stampede_load_response";
const ARRIVAL: &str = "stampede_arrival_latency";
const STEP_RESPONSE: &str = "stampede_step_response";
const STEP_ARRIVAL: &str = "stampede_step_arrival_latency";
const USER: &str = "stampede_user_latency";
const HOP: &str = "stampede_hop_latency";

impl Board {
    /// A level begins; `by_step` where it is of users who go through steps.
    pub(super) fn begin(&self, run: &RunId, number: usize, setting: String, path: &Path, by_step: bool) {
        let (run, load, latencies) = (run.to_string(), Arc::default(), RunLatencies::new(path, by_step));
        *self.lock() = Some(Level { run, number, setting, under_way: true, load, latencies });
    }

    /// What users do until all are there, and warm-ups, are no part of a level: counters would fall when it begins.
    pub(super) fn tell(&self, load: Arc<Totals>) {
        if let Some(level) = &mut *self.lock()
            && level.under_way
            && !load.is_around
        {
            level.load = load;
        }
    }

    /// Takes stamps of one stage, counted along the path.
    pub(super) fn take(&self, stage: usize, stamps: &[Stamp]) {
        if let Some(level) = &mut *self.lock() {
            for stamp in stamps {
                level.latencies.take(stage, *stamp);
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
            named(ARRIVAL, &self.latencies.arrival),
        ];
        for (number, step) in self.load.steps.iter().enumerate() {
            let labels = || vec![run(), ("step", step.name.clone())];
            all.push((STEP_RESPONSE, labels(), Distribution::new(step.response.clone())));
            let arrival = u16::try_from(number).ok().and_then(|number| self.latencies.by_step.as_ref()?.get(&number));
            all.extend(arrival.map(|arrival| (STEP_ARRIVAL, labels(), arrival.distribution())));
        }
        all.extend(self.latencies.user.as_ref().map(|user| named(USER, user)));
        all.extend(self.latencies.named_hops().map(|(from, to, hop)| {
            (HOP, vec![run(), ("from", from.to_string()), ("to", to.to_string())], hop.distribution())
        }));
        all
    }

    fn encode(&self, to: &mut Page<'_>) -> fmt::Result {
        let run = ("run", self.run.as_str());
        if self.under_way {
            let level = ([run, ("setting", self.setting.as_str())], self.number as u64);
            to.gauges("stampede_sweep_level", "The level under way, counted from 1", [level])?;
        }
        let in_flight = "Requests sent and not answered";
        to.gauges("stampede_load_in_flight", in_flight, [([run], self.load.in_flight)])?;
        let errors = self.load.errors.iter().map(|(kind, count)| ([run, ("kind", kind.as_str())], *count));
        to.counters("stampede_load_errors", "Requests that were not accepted", errors)?;
        let failed = self.load.steps.iter().map(|step| ([run, ("step", step.name.as_str())], step.errors));
        if !self.load.steps.is_empty() {
            to.counters("stampede_step_errors", "Requests of a step that were not accepted", failed)?;
        }
        if !self.load.generators.is_empty() {
            self.encode_workers(to)?;
        }
        let negative = "Differences below zero between two stamps, which count as zero in the histograms";
        to.counters("stampede_negative_latencies", negative, [([run], self.latencies.negative)])?;
        let histograms = self.histograms();
        for (name, help) in [
            (RESPONSE, "From the intended send of a request to its answer, of accepted requests"),
            (ARRIVAL, "From the API server to the subscriber, of sampled messages"),
            (STEP_RESPONSE, "From the intended send of a step's request to its answer, of accepted requests"),
            (STEP_ARRIVAL, "From the API server to the subscriber, of the sampled messages of a step"),
            (USER, "From the intended send to the subscriber, of sampled messages"),
            (HOP, "From one stage to the next, of sampled messages"),
        ] {
            let of_name = || histograms.iter().filter(|(other, ..)| *other == name);
            if of_name().next().is_some() {
                let values = of_name().map(|(_, labels, distribution)| (labels, distribution));
                encode_histograms(to, name, help, values)?;
            }
        }
        Ok(())
    }
}

impl Level {
    /// Each generator, where several make the load together.
    fn encode_workers(&self, to: &mut Page<'_>) -> fmt::Result {
        let all = &self.load.generators;
        let named: Vec<(String, &load::Generator)> = all.iter().map(|one| (one.number.to_string(), one)).collect();
        let labels = |number: &str, host: &str| {
            [("run", self.run.clone()), ("worker", number.to_owned()), ("host", host.to_owned())]
        };
        let each = |of: fn(&load::Generator) -> u64| {
            named.iter().map(move |(number, one)| (labels(number, &one.host), of(one))).collect::<Vec<_>>()
        };
        to.counters("stampede_worker_requests", "Requests that a worker has sent", each(|one| one.requests))?;
        to.counters("stampede_worker_errors", "Requests of a worker that were not accepted", each(|one| one.errors))?;
        let late = "99th percentile of the time from the intended send to the actual one, since the beginning of the load, in microseconds";
        to.gauges("stampede_worker_send_delay_p99_microseconds", late, each(|one| one.send_delay_p99_us))?;
        let lost = "Whether nothing is heard of a worker any more: its share of the load is not sent";
        to.gauges("stampede_worker_lost", lost, each(|one| one.is_lost.into()))
    }
}

impl Collector for Board {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.lock().as_ref().map_or(Ok(()), |level| level.encode(&mut Page(encoder)))
    }
}

/// Histograms of one name.
fn encode_histograms<'l>(
    to: &mut Page<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'l Vec<(&'static str, String)>, &'l Distribution)>,
) -> fmt::Result {
    let mut encoder = to.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for (labels, distribution) in values {
        let (sum, count) = (distribution.sum_seconds(), distribution.count());
        encoder.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, &distribution.buckets(), None)?;
    }
    Ok(())
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
    fn each_worker_of_a_level() {
        let board = Board::default();
        board.begin(&"s.r500".parse().unwrap(), 1, "500 requests/s".to_owned(), &Path::default(), false);
        let worker = |number, is_lost| load::Generator {
            number,
            host: format!("host-{number}"),
            requests: 250,
            accepted: 249,
            errors: 1,
            waiting: 0,
            send_delay_p99_us: 340,
            cpu: None,
            is_lost,
            is_silent: false,
        };
        board.tell(Arc::new(Totals { generators: vec![worker(1, false), worker(2, true)], ..Totals::default() }));
        let page = page(&board);
        let of_workers: Vec<&str> = page.lines().filter(|line| line.starts_with("stampede_worker")).collect();
        insta::assert_snapshot!(of_workers.join("\n"), @r#"
        stampede_worker_requests_total{run="s.r500",worker="1",host="host-1"} 250
        stampede_worker_requests_total{run="s.r500",worker="2",host="host-2"} 250
        stampede_worker_errors_total{run="s.r500",worker="1",host="host-1"} 1
        stampede_worker_errors_total{run="s.r500",worker="2",host="host-2"} 1
        stampede_worker_send_delay_p99_microseconds{run="s.r500",worker="1",host="host-1"} 340
        stampede_worker_send_delay_p99_microseconds{run="s.r500",worker="2",host="host-2"} 340
        stampede_worker_lost{run="s.r500",worker="1",host="host-1"} 0
        stampede_worker_lost{run="s.r500",worker="2",host="host-2"} 1
        "#);
    }

    #[test]
    fn counters_of_a_level_never_fall() {
        let board = Board::default();
        board.begin(&"s.u5".parse().unwrap(), 1, "5 users".to_owned(), &Path::default(), true);
        let tell = |failed: u64, is_around| {
            let errors = BTreeMap::from([("status 503".to_owned(), failed)]);
            board.tell(Arc::new(Totals { errors, is_around, ..Totals::default() }));
            let page = page(&board);
            let errors = page.lines().find_map(|line| line.strip_prefix("stampede_load_errors_total"));
            errors.map(|line| line.split(' ').next_back().unwrap().to_owned())
        };
        // Users come, the level, and the warm-up of the next.
        assert_eq!(tell(7, true), None);
        assert_eq!(tell(2, false).as_deref(), Some("2"));
        board.end();
        assert_eq!(tell(0, false).as_deref(), Some("2"));
    }

    #[test]
    fn a_level_from_its_begin_to_its_end() {
        let board = Board::default();
        assert_eq!(page(&board), "# EOF");
        let path: Path = "send,apiserver,mqttclient".parse().unwrap();
        board.begin(&"s.c05".parse().unwrap(), 3, "5 connections".to_owned(), &path, false);
        let errors = BTreeMap::from([("status 503".to_owned(), 2)]);
        board.tell(Arc::new(Totals { errors, in_flight: 4, response: vec![(100, 5), (400, 1)], ..Totals::default() }));
        for (stage, time_us) in [100, 150, 350].into_iter().enumerate() {
            board.take(stage, &[Stamp { id: 1, time_us, lag_us: None, err_us: None, step: 0, foreign: false }]);
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

    #[test]
    fn steps_are_told_apart() {
        let board = Board::default();
        let path: Path = "apiserver,mqttclient".parse().unwrap();
        board.begin(&"s.u5".parse().unwrap(), 1, "5 users".to_owned(), &path, true);
        let step = |name: &str, errors| load::StepTotals {
            name: name.to_owned(),
            requests: 2,
            errors,
            response: vec![(100, 2)],
        };
        board.tell(Arc::new(Totals { steps: vec![step("add", 0), step("look", 3)], ..Totals::default() }));
        for (stage, time_us) in [150, 350].into_iter().enumerate() {
            let stamp = |id| Stamp { id, time_us, lag_us: None, err_us: None, step: 0, foreign: false };
            board.take(stage, &[stamp(1), stamp(1 << 32)]);
        }
        let page = page(&board);
        let of_steps: Vec<&str> = page.lines().filter(|line| line.starts_with("stampede_step")).collect();
        insta::assert_snapshot!(of_steps.join("\n"), @r#"
        stampede_step_errors_total{run="s.u5",step="add"} 0
        stampede_step_errors_total{run="s.u5",step="look"} 3
        stampede_step_response_seconds_sum{run="s.u5",step="add"} 0.0002
        stampede_step_response_seconds_count{run="s.u5",step="add"} 2
        stampede_step_response_seconds_sum{run="s.u5",step="look"} 0.0002
        stampede_step_response_seconds_count{run="s.u5",step="look"} 2
        stampede_step_arrival_latency_seconds_sum{run="s.u5",step="add"} 0.0002
        stampede_step_arrival_latency_seconds_count{run="s.u5",step="add"} 1
        stampede_step_arrival_latency_seconds_sum{run="s.u5",step="look"} 0.0002
        stampede_step_arrival_latency_seconds_count{run="s.u5",step="look"} 1
        "#);
    }
}
