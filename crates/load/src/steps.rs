//! What is measured of steps and of rounds, where users go through several.

use crate::latency::{add, histogram, record, wire};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Kinds of failures that are told apart; what comes beyond them is counted together.
const MOST_KINDS: usize = 100;

/// What failures are called beyond [`MOST_KINDS`].
const OTHERS: &str = "others";

/// Counts by kind, of which there are a hundred at most, and then `others`.
pub(crate) fn count(kinds: &mut BTreeMap<String, u64>, kind: &str) {
    if let Some(count) = kinds.get_mut(kind) {
        *count += 1;
    } else {
        let kind = if kinds.len() < MOST_KINDS { kind } else { OTHERS };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
}

/// Adds counts of kinds; a kind beyond those that are told apart joins `others`.
pub(crate) fn sum(kinds: &mut BTreeMap<String, u64>, other: &BTreeMap<String, u64>) {
    for (kind, more) in other {
        let is_told_apart = kinds.contains_key(kind) || kinds.len() < MOST_KINDS;
        *kinds.entry(if is_told_apart { kind } else { OTHERS }.to_owned()).or_default() += more;
    }
}

/// One step of all users.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StepTally {
    /// What figures call it.
    pub name: String,
    /// Requests; one that is asked for again counts once.
    pub requests: u64,
    /// Answers that were asked for again.
    pub retries: u64,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// From the intended send to the whole answer, of accepted requests, µs; absent before the first.
    #[serde(with = "wire::optional")]
    pub response: Option<Box<Histogram<u64>>>,
}

/// The rounds of one task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoundTally {
    /// Rounds that began, also those that the end of the load cut before their first request.
    pub begun: u64,
    /// Rounds that were ended, well or not.
    pub ended: u64,
    /// Those in which a step failed.
    pub failed: u64,
    /// From the intended start to the end, of rounds without a failure that the end of the load has not cut, µs.
    #[serde(with = "wire")]
    pub whole: Histogram<u64>,
    /// Of these the time that was spent waiting for answers, µs.
    #[serde(with = "wire")]
    pub waiting: Histogram<u64>,
    /// The pauses of these rounds.
    pub pauses: Duration,
}

/// What a round has come to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Round {
    pub(crate) whole: Duration,
    pub(crate) waiting: Duration,
    pub(crate) pauses: Duration,
    pub(crate) failed: bool,
    /// The end of the load has cut its pauses: it tells nothing of how long a round takes.
    pub(crate) is_cut: bool,
}

impl StepTally {
    pub(crate) fn accept(&mut self, response: Duration) {
        record(self.response.get_or_insert_with(|| Box::new(histogram())), response);
    }

    /// Adds the same step of another generator.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.retries += other.retries;
        sum(&mut self.errors, &other.errors);
        if let Some(other) = &other.response {
            add(self.response.get_or_insert_with(|| Box::new(histogram())), other);
        }
    }

    /// Requests whose answer was as expected.
    pub fn accepted(&self) -> u64 {
        self.response.as_ref().map_or(0, |response| response.len())
    }
}

impl Default for RoundTally {
    fn default() -> Self {
        Self { begun: 0, ended: 0, failed: 0, whole: histogram(), waiting: histogram(), pauses: Duration::ZERO }
    }
}

impl RoundTally {
    pub(crate) fn note(&mut self, round: &Round) {
        self.ended += 1;
        if round.failed {
            self.failed += 1;
        } else if !round.is_cut {
            record(&mut self.whole, round.whole);
            record(&mut self.waiting, round.waiting);
            self.pauses += round.pauses;
        }
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.begun += other.begun;
        self.ended += other.ended;
        self.failed += other.failed;
        add(&mut self.whole, &other.whole);
        add(&mut self.waiting, &other.waiting);
        self.pauses += other.pauses;
    }

    /// Mean of the pauses of a round without a failure, µs.
    pub fn pauses_us(&self) -> f64 {
        if self.whole.is_empty() { 0.0 } else { self.pauses.as_secs_f64() * 1e6 / self.whole.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_kinds_are_told_apart() {
        let mut kinds = BTreeMap::new();
        for number in 0..150 {
            count(&mut kinds, &format!("kind {number}"));
            count(&mut kinds, "kind 0");
        }
        assert_eq!((kinds.len(), kinds["kind 0"], kinds[OTHERS]), (101, 151, 50));
    }
}
