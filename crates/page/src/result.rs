//! A level that has ended, as its report has it. Pure.

use crate::level::Level;
use crate::shown::Tiles;
use crate::spread::Figures;
use analysis::{Distribution, Http};
use experiment::Setting;
use serde::Serialize;

/// A row of the table of levels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Ended {
    pub(crate) number: usize,
    pub(crate) run: String,
    pub(crate) setting: String,
    /// When it began and when its load had drained, seconds since the session began.
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) tiles: Tiles,
    pub(crate) accepted: u64,
    pub(crate) arrived: u64,
    pub(crate) late: u64,
    pub(crate) duration_s: Option<f64>,
    pub(crate) unstable: Option<String>,
    pub(crate) generator_limited: Option<String>,
    pub(crate) interrupted: Option<String>,
}

/// Which level it was, for those that measure it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) number: usize,
    pub(crate) setting: Setting,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Place {
    /// Of the level under way.
    pub(crate) fn of(level: &Level, from: f64, to: f64) -> Self {
        Self { number: level.number, setting: level.setting.clone(), from, to }
    }
}

impl Ended {
    pub(crate) fn new(place: &Place, level: &analysis::Level) -> Self {
        let (load, books) = (&level.load, &level.books);
        Self {
            number: place.number,
            run: load.run.to_string(),
            setting: place.setting.to_string(),
            from: place.from,
            to: place.to,
            tiles: tiles(level),
            accepted: books.accepted,
            arrived: books.arrived,
            late: books.late,
            duration_s: load.http.as_ref().map(|http| http.duration_us as f64 / 1e6),
            unstable: level.stability.unstable.clone(),
            generator_limited: load.generator_limited.clone(),
            interrupted: load.interruption(),
        }
    }
}

/// What the tiles show of a level that has ended.
fn tiles(level: &analysis::Level) -> Tiles {
    let http = level.load.http.as_ref();
    let per_s = |of: fn(&Http) -> u64| {
        http.filter(|http| http.duration_us > 0).map(|http| of(http) as f64 * 1e6 / http.duration_us as f64)
    };
    let is_traced = level.arrival.count + level.arrival.censored > 0 || level.books.arrived > 0;
    Tiles {
        asked: level.load.rate,
        sent: per_s(|http| http.requests),
        accepted: per_s(|http| http.accepted),
        failed: per_s(Http::failed),
        arrived: level.delivered_per_sec(),
        http: http.map(http_figures).unwrap_or_default(),
        arrival: figures(&level.arrival),
        user: figures(&level.user),
        backlog: level.load.backlog,
        backlog_per_s: None,
        in_flight_per_s: None,
        in_flight: is_traced.then_some(level.books.in_flight),
        lost: is_traced.then_some(level.books.lost),
        stalled_s: None,
        from: "report",
    }
}

fn http_figures(http: &Http) -> Figures {
    Figures {
        n: http.accepted,
        mean_us: http.mean_us,
        p50_us: http.p50_us,
        p99_us: http.p99_us,
        max_us: http.max_us,
        ..Figures::default()
    }
}

fn figures(latency: &Distribution) -> Figures {
    // What is below zero, by an error of a clock, is shown as zero.
    let us = |us: Option<i64>| us.map(|us| u64::try_from(us).unwrap_or(0));
    let band = latency.ci95.p99.map(|ends| (u64::try_from(ends.low_us).unwrap_or(0), us(ends.high_us)));
    Figures {
        n: latency.count,
        mean_us: latency.mean_us,
        p50_us: us(latency.p50_us),
        p90_us: us(latency.p90_us),
        p99_us: us(latency.p99_us),
        p99_band_us: band,
        max_us: us(latency.max_us),
    }
}
