//! Reports made by hand, for tests: of this crate, and of those that show reports.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, clippy::must_use_candidate, reason = "it is for tests")]

use crate::StepArrival;
use crate::findings::Findings;
use crate::scenario::{Around, Failure, Rounds, Scenario, StepLoad, Times};
use crate::{
    Accounting, CurvePoint, Distribution, Histograms, Hop, Http, Interval, Intervals, Level, LittleLaw, Load,
    QueueDepth, Report, Slice, Stability, Sweep, Tail, TailHop, Timeline, Traces, Usage, WorkerLoad,
};
use hdrhistogram::Histogram;
use stamp::{Path, Stage};
use std::collections::BTreeMap;

/// A report with a level for each concurrency, over the default path.
pub fn report_of(levels: &[u32]) -> Report {
    let path = Path::default().stages().to_vec();
    let mut report = Report {
        schema_version: Report::SCHEMA_VERSION,
        sweep: "20261121-101500-k3f".to_owned(),
        started_unix_s: 1_795_255_200,
        every: Some(100),
        settings: BTreeMap::from([("duration".to_owned(), "10s".to_owned())]),
        environment: BTreeMap::from([("kernel".to_owned(), "Linux 6.1".to_owned())]),
        p99_limit_us: Sweep::P99_LIMIT_US,
        stamping: Vec::new(),
        levels: levels.iter().map(|&concurrency| level(&path, concurrency)).collect(),
        findings: Findings::default(),
        search: None,
        thresholds: Vec::new(),
        path,
    };
    report.conclude(Vec::new());
    report
}

/// The same report of loads that two workers made, the second of which was lost.
pub fn with_workers(mut report: Report) -> Report {
    for level in &mut report.levels {
        let http = level.load.http.clone().unwrap();
        let worker = |number: u16| WorkerLoad {
            number,
            instance: format!("4{number}-1a2b"),
            host: format!("host-{number}"),
            share: 0.5,
            requests: http.requests / 2,
            accepted: http.accepted / 2,
            errors: 0,
            missed: 0,
            send_delay_p50_us: Some(12),
            send_delay_p99_us: Some(340),
            start_delay_us: Some(90),
            cpu_share: Some(0.25),
            clock_error_us: Some(41),
            limited_by: None,
            lost_us: None,
            lost_why: None,
        };
        let why = Some("nothing was heard of it for 5 s".to_owned());
        level.load.workers = vec![worker(1), WorkerLoad { lost_us: Some(1_500_000), lost_why: why, ..worker(2) }];
    }
    report
}

/// The same report of users who go through two steps, the first of which is traced.
pub fn with_steps(mut report: Report) -> Report {
    for level in &mut report.levels {
        let http = level.load.http.clone().unwrap();
        let users = level.load.concurrency.unwrap_or(1);
        let step = |name: &str, number: u16| StepLoad {
            name: name.to_owned(),
            number,
            traced: number == 0,
            requests: http.requests / 2,
            accepted: http.accepted / 2,
            response: http.times(),
            ..StepLoad::default()
        };
        let mut look = step("GET /orders", 1);
        (look.requests, look.retries) = (look.accepted + 3, 2);
        look.errors = BTreeMap::from([("status 409".to_owned(), 3)]);
        let rounds = |task: &str| Rounds {
            task: task.to_owned(),
            begun: http.requests / 2,
            ended: http.requests / 2,
            failed: 3,
            whole: Times {
                mean_us: Some(1e6),
                p50_us: Some(990_000),
                p99_us: Some(1_900_000),
                max_us: Some(2_500_000),
            },
            waiting: http.times(),
            pauses_us: 950_000.0,
        };
        level.steps = vec![StepArrival {
            name: "add".to_owned(),
            number: 0,
            sampled: level.traces.sampled,
            arrival: level.arrival.clone(),
        }];
        level.load.scenario = Some(Scenario {
            users,
            closed: true,
            steps: vec![step("add", 0), look],
            rounds: vec![rounds("order")],
            all_rounds: rounds(""),
            failures: vec![Failure {
                kind: "GET /orders: status 409".to_owned(),
                count: 3,
                answer: Some("HTTP/1.1 409 Conflict\r\n\r\n<b>sold out</b>".to_owned()),
            }],
            around: Around { spawn_us: 2_000_000, steps: vec![step("log in", 2)] },
            ..Scenario::default()
        });
    }
    report.conclude(Vec::new());
    report
}

/// Throughput rises with concurrency towards a ceiling, and latency with both.
pub fn level(path: &[Stage], concurrency: u32) -> Level {
    let requests = 400_000 * u64::from(concurrency) / (u64::from(concurrency) + 4);
    let slow = i64::from(concurrency);
    let hop_us = |index: usize| 12 + 9 * i64::try_from(index).unwrap() + slow * [6, 2, 11, 3, 5][index % 5];
    let hops: Vec<i64> = (0..path.len() - 1).map(hop_us).collect();
    let user: i64 = hops.iter().sum();
    let arrival = user - hops[0];
    Level {
        load: load(concurrency, requests, &hops),
        arrival: distribution(requests / 100, arrival),
        user: distribution(requests / 100, user),
        hops: path[1..].iter().zip(&hops).map(|(stage, &us)| hop(stage, requests / 100, us)).collect(),
        answers: Vec::new(),
        causality: Vec::new(),
        books: Accounting {
            accepted: requests,
            unanswered: 0,
            arrived: requests,
            late: 0,
            in_flight: 0,
            lost: 0,
            lost_by_hop: path.iter().skip(3).map(|stage| (stage.clone(), 0)).collect(),
            duplicates: 0,
            shed: 0,
            passed: path.iter().map(|stage| (stage.clone(), requests)).collect(),
        },
        carried_us: 10_000_000,
        traces: Traces { sampled: requests / 100, complete: requests / 100, ..Traces::default() },
        stability: Stability::default(),
        little: vec![LittleLaw {
            scope: "pipeline".to_owned(),
            in_flight: requests as f64 / 10.0 * arrival as f64 / 1e6,
            rate_per_sec: requests as f64 / 10.0,
            latency_us: arrival as f64,
            ratio: 1.0,
            off: false,
        }],
        tail: Some(tail(path, requests, arrival)),
        curve: curve(arrival),
        steps: Vec::new(),
        timeline: timeline(requests / 100, arrival),
        histograms: histograms(&hops),
    }
}

fn load(concurrency: u32, requests: u64, hops: &[i64]) -> Load {
    let usage = |component: &str, cpu_us: u64, cores: f64| Usage {
        component: component.to_owned(),
        instance: String::new(),
        cpu_us,
        wall_us: 10_000_000,
        cores,
        memory_bytes: Some(20 << 20),
    };
    Load {
        concurrency: Some(concurrency),
        http: Some(http(requests, hops[0])),
        backlog: Some(u64::from(concurrency)),
        drain_us: Some(21_000),
        span_us: Some((1_795_255_200_000_000, 1_795_255_210_000_000)),
        usage: vec![
            usage("redis", requests * 5, 1.0),
            usage("mosquitto", requests * 10, 1.0),
            usage("apiserver", requests * 12, 1.0),
            usage("pushserver", requests * 4, 1.0),
            usage("mqttclient", requests * 3, 1.0),
            usage("driver", requests * 8, 1.0),
            usage("host", requests * 46, 2.0),
        ],
        queue: (0..100)
            .map(|look| QueueDepth { at_us: look * 100_000, messages: look % u64::from(concurrency + 1) })
            .collect(),
        ..Load::foreign(format!("20261121-101500-k3f.c{concurrency:02}").parse().unwrap())
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

/// The HTTP side of a load.
pub fn http(requests: u64, p50_us: i64) -> Http {
    let p50_us = p50_us.unsigned_abs();
    Http {
        duration_us: 10_000_000,
        requests,
        accepted: requests,
        mean_us: Some(p50_us as f64 * 1.2),
        p50_us: Some(p50_us),
        p99_us: Some(p50_us * 4),
        max_us: Some(p50_us * 20),
        service_p50_us: Some(p50_us),
        ..Http::default()
    }
}

/// Latencies around this median.
pub fn distribution(count: u64, p50_us: i64) -> Distribution {
    let interval =
        |us: i64| Some(Interval { low_us: us - us / 12, high_us: Some(us + us / 10), effective_count: count });
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
            p50: interval(p50_us),
            p90: interval(p50_us * 2),
            p95: interval(p50_us * 3),
            p99: interval(p50_us * 4),
            p999: interval(p50_us * 9),
        },
    }
}

fn tail(path: &[Stage], requests: u64, arrival: i64) -> Tail {
    let shares = [0.1, 0.6, 0.1, 0.2];
    Tail {
        slowest: 0.01,
        messages: requests / 10_000,
        from_us: arrival * 4,
        hops: path[2..]
            .iter()
            .zip(shares)
            .map(|(stage, share)| TailHop { stage: stage.clone(), share, share_of_all: 0.25 })
            .collect(),
    }
}

fn curve(arrival: i64) -> Vec<CurvePoint> {
    let factors = [
        (0.0, 0.4),
        (0.25, 0.8),
        (0.5, 1.0),
        (0.75, 1.5),
        (0.9, 2.0),
        (0.95, 3.0),
        (0.99, 4.0),
        (0.999, 9.0),
        (1.0, 20.0),
    ];
    #[allow(clippy::cast_possible_truncation)]
    factors.map(|(quantile, factor)| CurvePoint { quantile, us: (arrival as f64 * factor) as i64 }).to_vec()
}

fn timeline(sampled: u64, arrival: i64) -> Timeline {
    let slice = |number: i64| {
        // A pause in the middle.
        let p50 = if (45..50).contains(&number) { arrival * (52 - number) * 40 } else { arrival };
        let (low, high) = (Timeline::bin_of(p50), Timeline::bin_of(p50 * 4));
        let mut bins = vec![0; high + 1];
        bins[low] = u32::try_from(sampled / 200).unwrap();
        bins[high] += 1;
        Slice {
            entered: sampled / 100,
            count: sampled / 100,
            p50_us: Some(p50),
            p99_us: Some(p50 * 4),
            max_us: Some(p50 * 6),
            in_flight: p50.unsigned_abs() * sampled / 100_000,
            bins,
        }
    };
    Timeline { slice_us: 100_000, slices: (0..100).map(slice).collect() }
}

fn histograms(hops: &[i64]) -> Histograms {
    let histogram = |p50: i64| {
        let mut histogram = Histogram::new(3).unwrap();
        for step in 1..=1000u64 {
            histogram.record(p50.unsigned_abs() * step / 500).unwrap();
        }
        histogram
    };
    let user = hops.iter().sum::<i64>();
    Histograms {
        arrival: Some(histogram(user - hops[0])),
        user: Some(histogram(user)),
        hops: hops.iter().map(|&us| histogram(us)).collect(),
    }
}

/// A level with this p99 of arrival latency, µs, between the ends of its interval; without an upper end where that is the largest number.
pub fn measured((low_us, us, high_us): (i64, i64, i64)) -> Level {
    let mut level = report_of(&[8]).levels.remove(0);
    level.arrival.p99_us = Some(us);
    let high_us = (high_us != i64::MAX).then_some(high_us);
    level.arrival.ci95.p99 = Some(Interval { low_us, high_us, effective_count: 1000 });
    level
}

/// The report of a sweep with these levels.
pub fn of_levels(sweep: &str, levels: impl Iterator<Item = Level>) -> Report {
    Report { sweep: sweep.to_owned(), levels: levels.collect(), ..report_of(&[]) }
}

/// Reports of their own sweeps under these labels.
pub fn labelled(labels: &[&str], levels: &[u32]) -> Vec<(String, Report)> {
    let report = |(index, label): (usize, &&str)| {
        let report = Report { sweep: format!("sweep-{index}"), ..report_of(levels) };
        ((*label).to_owned(), report)
    };
    labels.iter().enumerate().map(report).collect()
}
