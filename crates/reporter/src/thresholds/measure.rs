//! What a threshold looks at: one figure of a level, or of the whole report. Pure.

use crate::{Distribution, Http, Level, Percentile, Report};
use stamp::Stage;
use std::fmt;

/// A figure of a report.
#[derive(Debug, Clone)]
pub(super) enum Metric {
    /// Of a latency, µs.
    Latency(Span, Figure),
    /// CPU time of the whole pipeline for each accepted message, µs.
    Cpu,
    /// A number of things, or of things a second.
    Number(&'static Number),
    /// Messages a second that the pipeline carried within the limit, in the whole sweep.
    Capacity,
}

/// Which latency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Span {
    Arrival,
    User,
    Http,
    /// Of the hop that ends at this stage.
    Hop(Stage),
}

/// Which figure of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Mean,
    Percentile(Percentile),
    Max,
}

/// A figure of a level that is a plain number.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) name: &'static str,
    /// Absent where another program made the load and nobody tells.
    of: fn(&Level) -> Option<f64>,
}

/// All of them.
pub(super) const NUMBERS: &[Number] = &[
    Number { name: "lost", of: |level| Some(level.books.lost as f64) },
    Number { name: "late", of: |level| Some(level.books.late as f64) },
    Number { name: "in_flight", of: |level| Some(level.books.in_flight as f64) },
    Number { name: "duplicates", of: |level| Some(level.books.duplicates as f64) },
    Number { name: "errors", of: |level| level.load.http.as_ref().map(|http| http.failed() as f64) },
    Number { name: "shed", of: |level| Some(level.books.shed as f64) },
    Number { name: "reordered", of: |level| Some(level.traces.reordered as f64) },
    Number { name: "negative", of: |level| Some(level.traces.negative as f64) },
    Number { name: "stamps_dropped", of: |level| Some(level.traces.stamps_dropped as f64) },
    Number { name: "backlog", of: |level| level.load.backlog.map(|backlog| backlog as f64) },
    Number { name: "unstable", of: |level| Some(f64::from(u8::from(level.stability.unstable.is_some()))) },
    Number { name: "rps", of: |level| level.load.http.as_ref().map(Http::requests_per_sec) },
    // Where nothing arrives, nothing a second does.
    Number { name: "delivered", of: |level| level.delivered_per_sec().or((level.books.arrived == 0).then_some(0.0)) },
];

impl Metric {
    /// Whether its values are µs.
    pub(super) fn is_time(&self) -> bool {
        matches!(self, Self::Latency(..) | Self::Cpu)
    }

    /// Whether it is of the whole sweep, and not of a level.
    pub(super) fn is_of_the_sweep(&self) -> bool {
        matches!(self, Self::Capacity)
    }

    /// The stage whose hop it is about.
    pub(super) fn stage(&self) -> Option<&Stage> {
        match self {
            Self::Latency(Span::Hop(stage), _) => Some(stage),
            _ => None,
        }
    }

    /// Its value at a level.
    ///
    /// # Errors
    /// Why it was not measured.
    pub(super) fn at(&self, level: &Level) -> Result<f64, String> {
        match self {
            Self::Latency(Span::Arrival, figure) => figure.of(&level.arrival),
            Self::Latency(Span::User, figure) => figure.of(&level.user),
            Self::Latency(Span::Http, figure) => {
                level.load.http.as_ref().ok_or_else(another).map(|http| figure.of_http(http))
            }
            Self::Latency(Span::Hop(stage), figure) => {
                let hop = level.hops.iter().find(|hop| hop.stage == *stage);
                figure.of(&hop.ok_or_else(|| format!("no hop ends at a stage {stage}"))?.latency)
            }
            Self::Cpu => {
                level.cpu_us_per_message().ok_or_else(|| "nobody told what the pipeline's parts spent".to_owned())
            }
            Self::Number(number) => (number.of)(level).ok_or_else(another),
            Self::Capacity => Err("it is of the whole sweep".to_owned()),
        }
    }

    /// Its value in the whole report.
    ///
    /// # Errors
    /// Why it was not measured.
    pub(super) fn of_sweep(report: &Report) -> Result<f64, String> {
        let capacity = report.findings.capacity.as_ref().map(|capacity| capacity.delivered_per_sec);
        let limit_ms = report.p99_limit_us as f64 / 1e3;
        capacity.ok_or_else(|| format!("no level was carried with an arrival p99 of at most {limit_ms} ms"))
    }
}

fn another() -> String {
    "another program made the load".to_owned()
}

impl Figure {
    /// Its value in a distribution, µs.
    fn of(self, latency: &Distribution) -> Result<f64, String> {
        let value = match self {
            Self::Mean => latency.mean_us,
            Self::Max => latency.max_us.map(|us| us as f64),
            Self::Percentile(percentile) => latency.percentile(percentile).map(|us| us as f64),
        };
        value.ok_or_else(|| self.why_absent(latency))
    }

    fn why_absent(self, latency: &Distribution) -> String {
        let Distribution { count, censored, .. } = latency;
        let begun = count + censored;
        match self {
            _ if *count == 0 => "no sampled message arrived".to_owned(),
            Self::Percentile(percentile) if begun < percentile.least_count() => {
                let (name, least) = (percentile.name(), percentile.least_count());
                format!(
                    "{name} takes {least} sampled messages, and there are {begun}: load for longer, or sample more (--every)"
                )
            }
            _ => format!("{censored} of {begun} sampled messages had not arrived, and it lies among those"),
        }
    }

    /// Its value among those that the load generator tells, µs.
    fn of_http(self, http: &Http) -> f64 {
        match self {
            Self::Mean => http.mean_us,
            Self::Percentile(Percentile::P50) => http.p50_us as f64,
            // The grammar takes no other percentile of it.
            Self::Percentile(_) => http.p99_us as f64,
            Self::Max => http.max_us as f64,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(span, figure) => {
                let span = match span {
                    Span::Arrival => "arrival",
                    Span::User => "user",
                    Span::Http => "http",
                    Span::Hop(stage) => stage.as_str(),
                };
                let figure = match figure {
                    Figure::Mean => "mean",
                    Figure::Percentile(percentile) => percentile.name(),
                    Figure::Max => "max",
                };
                write!(f, "{span}.{figure}")
            }
            Self::Cpu => f.write_str("cpu"),
            Self::Number(number) => f.write_str(number.name),
            Self::Capacity => f.write_str("capacity"),
        }
    }
}
