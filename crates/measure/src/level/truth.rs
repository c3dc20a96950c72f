//! Synthetic logs whose truth is known, and what the report makes of them.
//!
//! Each is a list of messages with their times at every stage, losses, missing, repeated and late stamps, negative hops and overtaking. The expected
//! figures are computed from that list alone, slowly and plainly, without any code of the report.

use super::level;
use crate::join::Join;
use crate::{Cutoff, Distribution, Http, Level, Load, Sweep};
use proptest::prelude::*;
use stamp::{Counts, Path, Stage, Stamp};
use std::collections::BTreeMap;

const BEGIN_US: i64 = 1_700_000_000_000_000;
const END_US: i64 = BEGIN_US + 1_000_000;
const CUTOFF_US: i64 = END_US + 2_000_000;
const STAGES: usize = 6;

/// One message, and how far it came.
#[derive(Debug, Clone)]
struct Message {
    times: [i64; STAGES],
    /// Stages that it passed: all of them, unless it was lost.
    passed: usize,
    /// A stage whose stamp is not there.
    missing: Option<usize>,
    /// A stage that it passed twice, and how much later.
    repeated: Option<(usize, i64)>,
    err: Option<u32>,
}

impl Message {
    fn stamp(&self, stage: usize) -> Option<i64> {
        (stage < self.passed && self.missing != Some(stage)).then(|| self.times[stage])
    }

    /// The stamp that a latency may use: what arrives after the cut-off does not.
    fn seen(&self, stage: usize) -> Option<i64> {
        self.stamp(stage).filter(|&time| stage + 1 < STAGES || time <= CUTOFF_US)
    }
}

/// A log: messages, and whether the sweep waited for all of them.
fn logs() -> impl Strategy<Value = Vec<Message>> {
    let hop = prop_oneof![8 => 1i64..5_000, 1 => -300i64..0, 1 => 100_000i64..400_000];
    let fate = prop_oneof![20 => Just((STAGES, false)), 1 => (3usize..STAGES).prop_map(|passed| (passed, false)), 1 => Just((STAGES, true))];
    let message = (
        0i64..1_000_000,
        prop::array::uniform5(hop),
        fate,
        prop::option::weighted(0.05, 0..STAGES),
        prop::option::weighted(0.05, (0..STAGES, 0i64..1000)),
        prop::option::weighted(0.8, 0u32..200),
    );
    let message = message.prop_map(|(begin, hops, (passed, late), missing, repeated, err)| {
        let mut times = [BEGIN_US + begin; STAGES];
        for (index, hop) in hops.into_iter().enumerate() {
            times[index + 1] = times[index] + hop;
        }
        if late {
            times[STAGES - 1] = CUTOFF_US + 5;
        }
        Message { times, passed, missing, repeated, err }
    });
    prop::collection::vec(message, 1..500)
}

fn entry(id: usize, time: i64, err: Option<u32>) -> String {
    // Written some time after the event, as a tracer does.
    let (lag, time) = (77, time + 77);
    let clock = format!("{}.{:06}", time / 1_000_000, time % 1_000_000);
    let err = err.map_or_else(String::new, |err| format!(r#","err":{err}"#));
    format!(r#"{{"id":{id},"time":"{clock}","lag":{lag}{err}}}"#)
}

/// The level that the report makes of the log, through entries as they stand in the log store.
fn reported(messages: &[Message]) -> Level {
    let path = Path::default().stages().to_vec();
    let mut join = Join::new(STAGES);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (stage, name) in path.iter().enumerate() {
        // Two writers, of which one is behind: not the order in which messages were taken in.
        let (one, other): (Vec<usize>, Vec<usize>) = (0..messages.len()).partition(|id| id % 2 == 0);
        for id in one.into_iter().chain(other) {
            let message = &messages[id];
            let again = message.repeated.filter(|(repeated, _)| *repeated == stage).map(|(_, later)| later);
            let stamps =
                message.stamp(stage).into_iter().flat_map(|time| [Some(time), again.map(|later| time + later)]);
            for time in stamps.flatten() {
                join.add(stage, &Stamp::parse(entry(id, time, message.err).as_bytes()).unwrap());
            }
            *counts.entry(name.to_string()).or_default() += u64::from(stage < message.passed);
        }
    }
    let arrived = messages.iter().filter(|m| m.passed == STAGES && m.times[STAGES - 1] <= CUTOFF_US).count() as u64;
    let accepted = messages.len() as u64;
    let http = Http { duration_us: 1_000_000, requests: accepted, accepted, ..Http::default() };
    let load = Load {
        http: Some(http),
        span_us: Some((BEGIN_US, END_US)),
        cutoff: (arrived < accepted).then_some(Cutoff { at_us: CUTOFF_US, moving: false, queue: 0, arrived }),
        ..Load::foreign("r".parse().unwrap())
    };
    let sweep = Sweep {
        id: "s".parse().unwrap(),
        started_unix_s: 0,
        every: Some(1),
        path,
        settings: BTreeMap::new(),
        environment: BTreeMap::new(),
        p99_limit_us: 50_000,
        loads: Vec::new(),
        search: None,
    };
    level(&load, &sweep, &join, 0, &counts.into_iter().collect::<Counts>())
}

/// Measured latencies, and how long the others had lasted at the cut-off.
fn latencies(messages: &[Message], from: usize, to: usize, all_arrived: bool) -> (Vec<i64>, Vec<i64>) {
    let (mut measured, mut censored) = (Vec::new(), Vec::new());
    for message in messages {
        // Where arrival latency begins, a message must have been seen.
        let (Some(begin), Some(_)) = (message.stamp(from), message.stamp(1)) else { continue };
        match message.seen(to) {
            Some(end) => measured.push(end - begin),
            None if !all_arrived && (to + 1..STAGES).all(|later| message.stamp(later).is_none()) => {
                censored.push(CUTOFF_US - begin);
            }
            None => {}
        }
    }
    (measured, censored)
}

/// The smallest latency at which the product over all shorter ones leaves no more than 1 - q under way, in quadratic time.
fn quantile(measured: &[i64], censored: &[i64], q: f64) -> Option<i64> {
    let mut sorted = measured.to_vec();
    sorted.sort_unstable();
    let mut left = 1.0;
    for &time in &sorted.iter().copied().collect::<std::collections::BTreeSet<_>>() {
        let arrivals = measured.iter().filter(|&&t| t == time).count() as f64;
        let at_risk = measured.iter().chain(censored).filter(|&&t| t >= time).count() as f64;
        left *= 1.0 - arrivals / at_risk;
        if left <= 1.0 - q + 1e-9 {
            return Some(time);
        }
    }
    None
}

fn check(name: &str, found: &Distribution, (measured, censored): &(Vec<i64>, Vec<i64>)) -> Result<(), TestCaseError> {
    prop_assert_eq!((found.count, found.censored), (measured.len() as u64, censored.len() as u64), "{}", name);
    let n = measured.len() + censored.len();
    let expected = |q: f64, least: usize| if n >= least { quantile(measured, censored, q) } else { None };
    let percentiles =
        [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3688)].map(|(q, least)| expected(q, least));
    let told = [found.p50_us, found.p90_us, found.p95_us, found.p99_us, found.p999_us];
    prop_assert_eq!(told, percentiles, "{}", name);
    prop_assert_eq!(found.max_us, measured.iter().copied().max(), "{}", name);
    let mean = (!measured.is_empty()).then(|| measured.iter().sum::<i64>() as f64 / measured.len() as f64);
    prop_assert!(found.mean_us.zip(mean).is_none_or(|(one, other)| (one - other).abs() < 1e-6), "{name}");
    prop_assert_eq!(found.mean_us.is_some(), mean.is_some());
    for interval in [found.ci95.p50, found.ci95.p90, found.ci95.p99].into_iter().flatten() {
        prop_assert!(interval.high_us.is_none_or(|high| interval.low_us <= high), "{name}: {interval:?}");
    }
    Ok(())
}

fn check_books(level: &Level, messages: &[Message]) -> Result<(), TestCaseError> {
    let books = &level.books;
    prop_assert!(books.is_balanced());
    let lost = messages.iter().filter(|m| m.passed < STAGES).count();
    let late = messages.iter().filter(|m| m.passed == STAGES && m.times[STAGES - 1] > CUTOFF_US).count();
    prop_assert_eq!((books.lost, books.late), (i64::try_from(lost).unwrap(), late as u64));
    prop_assert_eq!(books.arrived, (messages.len() - lost - late) as u64);
    for (stage, lost) in &books.lost_by_hop {
        let index = Path::default().stages().iter().position(|other| other == stage).unwrap();
        prop_assert_eq!(
            *lost,
            i64::try_from(messages.iter().filter(|m| m.passed == index).count()).unwrap(),
            "{}",
            stage
        );
    }
    let traces = &level.traces;
    let stamps = |m: &Message| (0..STAGES).map(|stage| m.stamp(stage)).collect::<Vec<_>>();
    prop_assert_eq!(traces.sampled, messages.iter().filter(|m| m.stamp(1).is_some()).count() as u64);
    prop_assert_eq!(traces.complete, messages.iter().filter(|m| stamps(m).iter().all(Option::is_some)).count() as u64);
    let repeated = |m: &&Message| m.repeated.is_some_and(|(stage, _)| m.stamp(stage).is_some());
    prop_assert_eq!(traces.repeated_stamps, messages.iter().filter(repeated).count() as u64);
    for (index, stage) in Path::default().stages().iter().enumerate() {
        let lacks =
            |m: &&Message| m.stamp(index).is_none() && (index + 1..STAGES).any(|later| m.stamp(later).is_some());
        let told = traces.missing.iter().find(|(other, _)| other == stage).map_or(0, |(_, count)| *count);
        prop_assert_eq!(told, messages.iter().filter(lacks).count() as u64, "{}", stage);
    }
    let overtaken = |one: &(i64, i64)| {
        messages
            .iter()
            .any(|m| matches!((m.stamp(1), m.seen(5)), (Some(begin), Some(end)) if begin < one.0 && end > one.1))
    };
    let pairs: Vec<(i64, i64)> = messages.iter().filter_map(|m| m.stamp(1).zip(m.seen(5))).collect();
    // Which of two that came at the same moment was first, nobody knows.
    let moments: std::collections::BTreeSet<i64> = pairs.iter().map(|(begin, _)| *begin).collect();
    if moments.len() == pairs.len() {
        prop_assert_eq!(traces.reordered, pairs.iter().filter(|pair| overtaken(pair)).count() as u64);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_report_tells_what_happened(messages in logs()) {
        let level = reported(&messages);
        let all_arrived = messages.iter().all(|m| m.passed == STAGES && m.times[STAGES - 1] <= CUTOFF_US);
        let of = |from, to| latencies(&messages, from, to, all_arrived);
        check("arrival", &level.arrival, &of(1, 5))?;
        check("user", &level.user, &of(0, 5))?;
        let mut negative = [(1, 5), (0, 5)].map(|(from, to)| of(from, to).0).concat();
        for to in 1..STAGES {
            let hop = &level.hops[to - 1];
            check(hop.stage.as_str(), &hop.latency, &of(to - 1, to))?;
            let below = of(to - 1, to).0;
            prop_assert_eq!(hop.negative, below.iter().filter(|&&us| us < 0).count() as u64);
            prop_assert_eq!(hop.queued, hop.stage == Stage::PUSHSERVER);
            negative.extend(below);
        }
        prop_assert_eq!(level.traces.negative, negative.iter().filter(|&&us| us < 0).count() as u64);
        check_books(&level, &messages)?;
        let entered: u64 = level.timeline.slices.iter().map(|slice| slice.entered).sum();
        prop_assert_eq!(entered, level.traces.sampled);
        let binned: u64 = level.timeline.slices.iter().flat_map(|slice| &slice.bins).map(|&count| u64::from(count)).sum();
        prop_assert_eq!(binned, level.arrival.count);
        if let Some(tail) = &level.tail {
            let sum: f64 = tail.hops.iter().map(|hop| hop.share).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9);
        }
    }
}
