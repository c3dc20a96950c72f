//! What a load has measured, in memory that does not grow with its rate.

use crate::latency::{add, histogram, recorded, wire};
use crate::program::Program;
use crate::steps::{RoundTally, StepTally, count, sum};
use hdrhistogram::Histogram;
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};
use stamp::counted;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The result of one load. Histograms are in µs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tally {
    /// Requests sent.
    pub requests: u64,
    /// Requests that were not accepted, by kind.
    pub errors: BTreeMap<String, u64>,
    /// From the actual send to the whole answer, of accepted requests.
    #[serde(with = "wire")]
    pub service: Histogram<u64>,
    /// From the intended send to the whole answer, of accepted requests.
    #[serde(with = "wire")]
    pub response: Histogram<u64>,
    /// From the intended send to the failure, of requests that were not accepted.
    #[serde(with = "wire")]
    pub failed: Histogram<u64>,
    /// From the intended send to the actual one, of all requests.
    #[serde(with = "wire")]
    pub send_delay: Histogram<u64>,
    /// Connections that the server had ended between two requests, or in the moment of the next one, and that were opened anew for it.
    pub reconnected: u64,
    /// Requests that were due and never sent.
    pub missed: u64,
    /// The most users at a time, without those whose start failed: in a load of a single request, connections.
    pub connections: u32,
    /// CPU time of the generator's thread; absent where the system does not tell.
    pub cpu: Option<Duration>,
    /// The time in which requests were sent, over which rates are told.
    pub duration: Duration,
    /// From there on until the last answer.
    pub waited: Duration,
    /// How late the load began, where its beginning was agreed on with other generators.
    pub late: Option<Duration>,
    /// What happened in each second.
    pub series: Vec<Second>,
    /// The ids of accepted messages, where they are kept.
    #[serde(skip)]
    pub accepted_ids: Option<RoaringTreemap>,
    /// Each step, where users go through several.
    pub steps: Vec<StepTally>,
    /// Rounds by kind of user and task, where users go through steps.
    pub rounds: Vec<Vec<RoundTally>>,
    /// The beginning of the first answer of each kind of failure.
    pub first_answers: BTreeMap<String, String>,
    /// What was measured beside: before all users were there, and when they began and stopped.
    pub around: Option<Box<Tally>>,
    /// A failed step has ended the load, as its users' plan says.
    pub broken_off: bool,
}

/// One second of a load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// Requests accepted in it.
    pub accepted: u64,
    /// Requests that failed in it.
    pub errors: u64,
    /// Median response time, µs; absent where nothing was accepted, and where several generators made the load.
    pub p50_us: Option<u64>,
    /// 99th percentile of the response time, µs.
    pub p99_us: Option<u64>,
    /// Requests sent and not answered at its end.
    pub in_flight: u64,
}

/// A load under way: the last moments of it.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// Accepted requests a second.
    pub requests_per_sec: f64,
    /// Median response time, µs.
    pub p50_us: u64,
    /// 99th percentile of the response time, µs.
    pub p99_us: u64,
    /// All of it so far, once a second. It is told where the channel's first value has it: copying it takes the generator time.
    pub snapshot: Option<Arc<Snapshot>>,
}

/// A load under way, from its start on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// What has been measured.
    pub tally: Tally,
    /// Requests sent and not answered.
    pub in_flight: u64,
    /// Users who are there.
    pub users: u32,
    /// Whether what is measured has not begun: users still come, or warm up.
    pub is_around: bool,
    /// Each generator, where several make the load together.
    #[serde(skip)]
    pub generators: Vec<Generator>,
}

/// One of several generators that make a load together, from the load's start on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator {
    /// What stands in its messages' ids.
    pub number: u16,
    /// Where it runs.
    pub host: String,
    /// Requests sent.
    pub requests: u64,
    /// Those that were accepted.
    pub accepted: u64,
    /// Those that were not.
    pub errors: u64,
    /// Requests, or rounds, that are due and have not been begun.
    pub waiting: u64,
    /// 99th percentile of the time from the intended send to the actual one, µs.
    pub send_delay_p99_us: u64,
    /// CPU time of its thread.
    pub cpu: Option<Duration>,
    /// It is there no more.
    pub is_lost: bool,
    /// It says less than it should: this is what it told before.
    pub is_silent: bool,
}

/// A snapshot as figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests sent.
    pub requests: u64,
    /// Requests that were not accepted, by kind.
    pub errors: BTreeMap<String, u64>,
    /// The beginning of the first answer of each kind of failure.
    pub first_answers: BTreeMap<String, String>,
    /// Requests sent and not answered.
    pub in_flight: u64,
    /// Users who are there.
    pub users: u32,
    /// Whether what is measured has not begun: users still come, or warm up.
    pub is_around: bool,
    /// Requests, or rounds, that are due and have not been begun.
    pub waiting: u64,
    /// CPU time of the generator's thread.
    pub cpu: Option<Duration>,
    /// From the intended send to the actual one, µs, and how many took so long; ascending.
    pub send_delay: Vec<(u64, u64)>,
    /// Response times of accepted requests, µs, and how many took so long; ascending.
    pub response: Vec<(u64, u64)>,
    /// The same of each step by its number, where users go through several.
    pub steps: Vec<StepTotals>,
    /// Each generator, where several make the load together.
    pub generators: Vec<Generator>,
}

/// A step from the start of the load on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepTotals {
    /// What figures call it.
    pub name: String,
    /// Requests sent.
    pub requests: u64,
    /// Requests that were not accepted.
    pub errors: u64,
    /// Response times of accepted requests, µs, and how many took so long; ascending.
    pub response: Vec<(u64, u64)>,
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl Tally {
    /// Of a load that has not begun.
    pub fn new() -> Self {
        Self {
            requests: 0,
            errors: BTreeMap::new(),
            service: histogram(),
            response: histogram(),
            failed: histogram(),
            send_delay: histogram(),
            reconnected: 0,
            missed: 0,
            connections: 0,
            cpu: None,
            duration: Duration::ZERO,
            waited: Duration::ZERO,
            late: None,
            series: Vec::new(),
            accepted_ids: None,
            steps: Vec::new(),
            rounds: Vec::new(),
            first_answers: BTreeMap::new(),
            around: None,
            broken_off: false,
        }
    }

    /// Notes a request that was not accepted.
    pub fn fail(&mut self, kind: &str) {
        count(&mut self.errors, kind);
    }

    /// Adds what another generator of the same load has measured: counts and histograms are summed, times are those of the longest. Seconds are summed, too, but
    /// for their percentiles, which have no sum.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        sum(&mut self.errors, &other.errors);
        for (histogram, other) in [
            (&mut self.service, &other.service),
            (&mut self.response, &other.response),
            (&mut self.failed, &other.failed),
            (&mut self.send_delay, &other.send_delay),
        ] {
            add(histogram, other);
        }
        self.reconnected += other.reconnected;
        self.missed += other.missed;
        self.connections += other.connections;
        self.cpu = self.cpu.into_iter().chain(other.cpu).reduce(|one, other| one + other);
        self.duration = self.duration.max(other.duration);
        self.waited = self.waited.max(other.waited);
        self.late = self.late.max(other.late);
        self.broken_off |= other.broken_off;
        self.series.resize(self.series.len().max(other.series.len()), Second::default());
        for (second, other) in self.series.iter_mut().zip(&other.series) {
            *second = Second {
                accepted: second.accepted + other.accepted,
                errors: second.errors + other.errors,
                in_flight: second.in_flight + other.in_flight,
                ..Second::default()
            };
        }
        if self.steps.is_empty() {
            (self.steps, self.rounds) = (other.steps.clone(), other.rounds.clone());
        } else {
            self.steps.iter_mut().zip(&other.steps).for_each(|(step, other)| step.add(other));
            let rounds =
                self.rounds.iter_mut().zip(&other.rounds).flat_map(|(rounds, other)| rounds.iter_mut().zip(other));
            rounds.for_each(|(rounds, other)| rounds.add(other));
        }
        for (kind, answer) in &other.first_answers {
            self.first_answers.entry(kind.clone()).or_insert_with(|| answer.clone());
        }
        match (&mut self.around, &other.around) {
            (Some(around), Some(other)) => around.add(other),
            (around @ None, other) => around.clone_from(other),
            (Some(_), None) => {}
        }
    }

    /// Requests that were accepted.
    pub fn accepted(&self) -> u64 {
        self.response.len()
    }

    /// Traced messages that were accepted.
    pub fn accepted_messages(&self, program: &Program) -> u64 {
        if self.steps.is_empty() {
            return self.accepted();
        }
        self.steps.iter().zip(&program.steps).filter(|(_, step)| step.traced).map(|(tally, _)| tally.accepted()).sum()
    }

    /// Requests that were not accepted.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The share of the load's time that the generator's thread was busy.
    pub fn cpu_share(&self) -> Option<f64> {
        let lasted = self.duration + self.waited;
        (!lasted.is_zero()).then_some(self.cpu?.as_secs_f64() / lasted.as_secs_f64())
    }

    /// Why the generator, and not the API, limited the load; none when it did not.
    pub fn limited_by(&self) -> Option<String> {
        let delay_us = self.send_delay.value_at_quantile(0.99);
        let service_us = self.service.value_at_quantile(0.5);
        let (what, done, remedy) = if self.steps.is_empty() {
            ("request", "sent", "--max-connections")
        } else {
            ("round", "begun", "max_users, or give the generator a machine that is less busy")
        };
        if self.missed > 0 {
            let were = if self.missed == 1 { "was" } else { "were" };
            return Some(format!("{} {were} due and never {done}: raise {remedy}", counted(self.missed, what)));
        }
        if self.cpu_share().is_some_and(|share| share > 0.95) {
            return Some("its thread was busy all the time".to_owned());
        }
        // Twice the time that a request takes, and no less than what a timer may be late on a busy machine.
        if delay_us > (2 * service_us).max(5_000) {
            let remedy = if self.steps.is_empty() {
                "raise --max-connections"
            } else {
                "give the generator a machine that is less busy, or, where rounds have a rate, raise max_users"
            };
            return Some(format!("1 in 100 requests was sent {:.1} ms late or more: {remedy}", delay_us as f64 / 1e3));
        }
        None
    }

    /// Accepted requests a second, over the time in which requests were sent.
    pub fn requests_per_sec(&self) -> f64 {
        if self.duration.is_zero() { 0.0 } else { self.accepted() as f64 / self.duration.as_secs_f64() }
    }
}

impl Live {
    /// Sums up what a histogram gathered in `period`.
    pub fn of(latency: &Histogram<u64>, period: Duration) -> Self {
        Self {
            requests_per_sec: latency.len() as f64 / period.as_secs_f64(),
            p50_us: latency.value_at_quantile(0.5),
            p99_us: latency.value_at_quantile(0.99),
            snapshot: None,
        }
    }

    /// All of it so far, as figures; once a second.
    pub fn totals(&self) -> Option<Totals> {
        self.snapshot.as_deref().map(Totals::of)
    }
}

impl Snapshot {
    /// Of a load that has ended.
    pub fn of(tally: &Tally) -> Self {
        Self { tally: tally.clone(), users: tally.connections, ..Self::default() }
    }

    /// Adds what another generator of the same load has measured.
    pub fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.in_flight += other.in_flight;
        self.users += other.users;
        self.is_around |= other.is_around;
    }
}

impl Totals {
    /// The sum so far.
    pub fn of(snapshot: &Snapshot) -> Self {
        let tally = &snapshot.tally;
        let step = |step: &StepTally| StepTotals {
            name: step.name.clone(),
            requests: step.requests,
            errors: step.errors.values().sum(),
            response: step.response.as_deref().map(recorded).unwrap_or_default(),
        };
        let steps = tally.steps.iter().map(step).collect();
        Self {
            requests: tally.requests,
            errors: tally.errors.clone(),
            first_answers: tally.first_answers.clone(),
            in_flight: snapshot.in_flight,
            users: snapshot.users,
            is_around: snapshot.is_around,
            waiting: tally.missed,
            cpu: tally.cpu,
            send_delay: recorded(&tally.send_delay),
            response: recorded(&tally.response),
            steps,
            generators: snapshot.generators.clone(),
        }
    }
}

impl Second {
    /// Sums up what a histogram of response times gathered in a second.
    pub fn of(response: &Histogram<u64>, errors: u64, in_flight: u64) -> Self {
        let at = |quantile: f64| (!response.is_empty()).then(|| response.value_at_quantile(quantile));
        Self { accepted: response.len(), errors, p50_us: at(0.5), p99_us: at(0.99), in_flight }
    }
}
