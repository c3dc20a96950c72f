//! Thresholds held against a level under way: against a report of what is known of it so far.

use crate::level::Level;
use crate::shown::Step;
use crate::spread::{Figures, Spread};
use analysis::scenario::{Scenario, StepLoad, Times};
use analysis::{
    Accounting, Distribution, Http, Intervals, Load, Percentile, Report, StepArrival, Sweep, Threshold,
    ThresholdVerdict,
};
use stamp::RunId;
use std::time::Instant;

pub(crate) fn judge(thresholds: &[Threshold], sweep: &Sweep, level: &Level, now: Instant) -> Vec<ThresholdVerdict> {
    let report = report(sweep, level, now);
    thresholds.iter().map(|threshold| threshold.judge(&report)).collect()
}

/// A report of the level so far. It serves thresholds alone: what they do not look at is left out.
fn report(sweep: &Sweep, level: &Level, now: Instant) -> Report {
    let run = format!("{}.{}", sweep.id, level.setting.name()).parse().unwrap_or_else(|_| RunId::adhoc());
    let mut load = Load {
        concurrency: level.setting.rate.is_none().then_some(level.setting.connections),
        rate: level.setting.rate,
        repeat: level.setting.repeat,
        ..Load::foreign(run)
    };
    let books = level.books(now);
    load.http = level.totals().map(|totals| {
        let mut response = Spread::default();
        response.extend(totals.response.iter().copied());
        let figures = response.figures();
        let lasted = now.duration_since(level.measured_from);
        Http {
            duration_us: u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX),
            requests: totals.requests,
            accepted: figures.n,
            errors: totals.errors.clone(),
            mean_us: figures.mean_us,
            p50_us: figures.p50_us,
            p99_us: figures.p99_us,
            max_us: figures.max_us,
            ..Http::default()
        }
    });
    let steps = level.steps();
    if !steps.is_empty() {
        load.scenario = Some(Scenario { steps: steps.iter().map(step).collect(), ..Scenario::default() });
    }
    let mut so_far = analysis::untraced(&load, sweep);
    let of_step = |(number, (name, arrival)): (u16, (&str, &Spread))| StepArrival {
        name: name.to_owned(),
        number,
        sampled: arrival.n(),
        arrival: distribution(arrival),
    };
    so_far.steps = (0..).zip(level.step_arrivals()).map(of_step).collect();
    so_far.books = Accounting {
        accepted: books.accepted,
        arrived: books.arrived,
        in_flight: 0,
        late: 0,
        lost: books.missing.cast_signed(),
        duplicates: books.duplicates,
        ..so_far.books
    };
    so_far.arrival = distribution(&level.whole.arrival);
    so_far.user = distribution(&level.whole.user);
    for (hop, spread) in so_far.hops.iter_mut().zip(&level.whole.hops) {
        hop.latency = distribution(spread);
    }
    let mut report = Report::new(sweep);
    report.add(so_far);
    report
}

/// How rounds go is not known before the end.
fn step(step: &Step) -> StepLoad {
    let Figures { n, mean_us, p50_us, p99_us, max_us, .. } = step.response;
    StepLoad {
        name: step.name.clone(),
        requests: step.requests,
        accepted: n,
        errors: [("failed".to_owned(), step.failed)].into_iter().filter(|(_, failed)| *failed > 0).collect(),
        response: Times { mean_us, p50_us, p99_us, max_us },
        ..StepLoad::default()
    }
}

/// Percentiles as a report tells them: none of too few messages.
fn distribution(spread: &Spread) -> Distribution {
    let Figures { n, mean_us, max_us, .. } = spread.figures();
    let at = |percentile: Percentile, quantile: f64| {
        let value = spread.quantile(quantile).filter(|_| n >= percentile.least_count());
        value.map(u64::cast_signed)
    };
    Distribution {
        count: n,
        censored: 0,
        mean_us,
        p50_us: at(Percentile::P50, 0.5),
        p90_us: at(Percentile::P90, 0.9),
        p95_us: at(Percentile::P95, 0.95),
        p99_us: at(Percentile::P99, 0.99),
        p999_us: at(Percentile::P999, 0.999),
        max_us: max_us.map(u64::cast_signed),
        ci95: Intervals::default(),
    }
}
