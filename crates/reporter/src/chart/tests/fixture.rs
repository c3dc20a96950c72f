//! Reports made by hand.

use crate::{
    Accounting, CurvePoint, Distribution, Histograms, Hop, Http, Interval, Intervals, Level, Load, Report, Slice,
    Stability, Timeline, Traces, Usage,
};
use stamp::{Path, Stage};
use std::collections::BTreeMap;

/// How long each load lasted, µs.
const LASTED_US: u64 = 10_000_000;

/// A report with a level for each concurrency, over the default path. Where one comes again, it is a repetition.
pub(crate) fn report_of(levels: &[u32]) -> Report {
    let path = Path::default().stages().to_vec();
    let mut report = Report {
        schema_version: Report::SCHEMA_VERSION,
        sweep: "20261121-101500-k3f".to_owned(),
        started_unix_s: 1_795_255_200,
        every: 100,
        settings: BTreeMap::from([("duration".to_owned(), "10s".to_owned())]),
        environment: BTreeMap::new(),
        p99_limit_us: Report::P99_LIMIT_US,
        stamping: Vec::new(),
        levels: Vec::new(),
        findings: crate::Findings::default(),
        path,
    };
    for &concurrency in levels {
        let same = report.levels.iter().filter(|level| level.load.concurrency == Some(concurrency));
        let repeat = u32::try_from(same.count()).unwrap() + 1;
        let mut level = level(&report.path, concurrency);
        level.load.repeat = repeat;
        report.levels.push(level);
    }
    report.conclude(Vec::new());
    report
}

/// Throughput rises with concurrency towards a ceiling, and latency with both.
pub(crate) fn level(path: &[Stage], concurrency: u32) -> Level {
    let requests = 400_000 * u64::from(concurrency) / (u64::from(concurrency) + 4);
    let sampled = requests / 100;
    let slow = i64::from(concurrency);
    let hop_us = |index: usize| 12 + 9 * i64::try_from(index).unwrap() + slow * [6, 2, 11, 3, 5][index % 5];
    let hops: Vec<i64> = (0..path.len() - 1).map(hop_us).collect();
    let user = hops.iter().sum();
    let arrival = distribution(sampled, user - hops[0]);
    Level {
        load: Load {
            concurrency: Some(concurrency),
            http: Some(http(requests, hops[0])),
            backlog: Some(u64::from(concurrency)),
            drain_us: Some(21_000),
            usage: usage(requests),
            ..Load::foreign(format!("20261121-101500-k3f.c{concurrency:02}").parse().unwrap())
        },
        user: distribution(sampled, user),
        hops: path[1..].iter().zip(&hops).map(|(stage, &us)| hop(stage, sampled, us)).collect(),
        books: books(path, requests),
        carried_us: LASTED_US + 21_000,
        traces: Traces { sampled, complete: sampled, ..Traces::default() },
        stability: Stability::default(),
        little: Vec::new(),
        tail: None,
        curve: curve(sampled, user - hops[0]),
        timeline: timeline(sampled, user - hops[0]),
        histograms: Histograms::default(),
        arrival,
    }
}

fn books(path: &[Stage], requests: u64) -> Accounting {
    Accounting {
        accepted: requests,
        unanswered: 0,
        arrived: requests,
        late: 0,
        in_flight: 0,
        lost: 0,
        lost_by_hop: Vec::new(),
        duplicates: 0,
        shed: 0,
        passed: path.iter().map(|stage| (stage.clone(), requests)).collect(),
    }
}

fn hop(stage: &Stage, count: u64, p50_us: i64) -> Hop {
    Hop {
        stage: stage.clone(),
        latency: distribution(count, p50_us),
        queued: *stage == Stage::PUSHSERVER,
        service_us: None,
        wait_us: None,
        in_flight_at_end: 0,
        negative: 0,
    }
}

fn http(requests: u64, p50_us: i64) -> Http {
    let p50_us = p50_us.unsigned_abs();
    Http {
        duration_us: LASTED_US,
        requests,
        accepted: requests,
        errors: BTreeMap::new(),
        mean_us: p50_us as f64 * 1.2,
        p50_us,
        p99_us: p50_us * 4,
        max_us: p50_us * 20,
    }
}

/// Higher percentiles in fixed proportion to the median, and known less surely.
pub(crate) fn distribution(count: u64, p50_us: i64) -> Distribution {
    let interval = |us: i64, percent: i64| {
        Some(Interval {
            low_us: us - us * percent / 100,
            high_us: Some(us + us * percent / 100),
            effective_count: count,
        })
    };
    Distribution {
        count,
        censored: 0,
        mean_us: Some(p50_us as f64 * 1.25),
        p50_us: Some(p50_us),
        p90_us: Some(p50_us * 2),
        p95_us: Some(p50_us * 3),
        p99_us: Some(p50_us * 4),
        p999_us: Some(p50_us * 9),
        max_us: Some(p50_us * 20),
        ci95: Intervals {
            p50: interval(p50_us, 3),
            p90: interval(p50_us * 2, 5),
            p95: interval(p50_us * 3, 7),
            p99: interval(p50_us * 4, 12),
            p999: interval(p50_us * 9, 25),
        },
    }
}

/// As a real one: five points for each halving of what is left, as far as there are messages, and the longest.
fn curve(count: u64, p50_us: i64) -> Vec<CurvePoint> {
    let at = |quantile: f64| {
        let us = p50_us as f64 * (0.6 + 0.4 * -(1.0 - quantile).log2()).powf(1.3);
        #[allow(clippy::cast_possible_truncation)]
        let us = us as i64;
        CurvePoint { quantile, us }
    };
    let rest = |point: i32| 0.5f64.powf(f64::from(point) / 5.0);
    let inside = (0..200).map(rest).take_while(|rest| rest * count as f64 >= 1.0).map(|rest| at(1.0 - rest));
    inside.chain([CurvePoint { quantile: 1.0, us: p50_us * 20 }]).collect()
}

/// A hundred slices; latency wavers around its median.
fn timeline(sampled: u64, p50_us: i64) -> Timeline {
    let slice = |index: i64| {
        let median = p50_us * (90 + index * 7919 % 23) / 100;
        slice(sampled / 100, median, u64::try_from(index * 31 % 5).unwrap() * 100)
    };
    Timeline { slice_us: 100_000, slices: (0..100).map(slice).collect() }
}

/// A slice of which so many messages arrived.
pub(crate) fn slice(count: u64, p50_us: i64, in_flight: u64) -> Slice {
    let mut slice = Slice {
        entered: count,
        count,
        p50_us: Some(p50_us),
        p99_us: Some(p50_us * 3),
        max_us: Some(p50_us * 4),
        in_flight,
        bins: Vec::new(),
    };
    for message in 0..i64::try_from(count).unwrap() {
        let bin = Timeline::bin_of(p50_us * (60 + message * 37 % 90 + if message % 20 == 0 { 150 } else { 0 }) / 100);
        slice.bins.resize(slice.bins.len().max(bin + 1), 0);
        slice.bins[bin] += 1;
    }
    slice
}

/// What the parts of the pipeline spend on so many messages.
fn usage(messages: u64) -> Vec<Usage> {
    let spent = [
        ("apiserver", 9, 1.0),
        ("redis", 6, 1.0),
        ("pushserver", 5, 1.0),
        ("mosquitto", 8, 1.0),
        ("mqttclient", 3, 1.0),
        ("driver", 10, 2.0),
        ("host", 47, 2.0),
    ];
    let usage = |(component, us, cores): (&str, u64, f64)| Usage {
        component: component.to_owned(),
        instance: String::new(),
        cpu_us: messages * us,
        wall_us: LASTED_US,
        cores,
        memory_bytes: Some(12_000_000),
    };
    spent.map(usage).into()
}
