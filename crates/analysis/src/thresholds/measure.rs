//! What a threshold looks at: one figure of a level, or of the whole report. Pure.

use crate::scenario::Times;
use crate::{CausalBound, Distribution, ForeignLatency, Http, Level, Percentile, Report};
use stamp::Stage;
use std::fmt;
use std::mem::discriminant;

/// A figure of a report.
#[derive(Debug, Clone)]
pub(crate) enum Metric {
    /// Of a latency, µs.
    Latency(Span, Figure),
    /// CPU time of the whole pipeline for each accepted message, µs.
    Cpu,
    /// A number of things, or of things a second.
    Number(&'static Number),
    /// The same in percent of what it is a part of.
    Share(&'static Number),
    /// Of a step, or of the rounds of a task.
    Part(Part),
    /// Messages a second that the pipeline carried within the limit, in the whole sweep.
    Capacity,
}

/// A figure of a step, or of the rounds of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Of a task's rounds; else of a step.
    pub(crate) is_round: bool,
    pub(crate) name: String,
    pub(crate) of: OfPart,
}

/// Which figure of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfPart {
    /// Of its response times, or of the time that rounds took.
    Times(Figure),
    /// Of the arrival latency of its messages.
    Arrival(Figure),
    /// Requests, or rounds, that failed.
    Errors,
    /// The same in percent.
    ErrorShare,
}

/// Which latency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Span {
    Arrival,
    User,
    Http,
    /// Of the hop that ends at this stage.
    Hop(Stage),
}

/// Which figure of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    Mean,
    Percentile(Percentile),
    Max,
}

/// A figure of a level that is a plain number.
#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) name: &'static str,
    /// Its value, or why nobody knows it.
    of: fn(&Level) -> Result<f64, String>,
    /// What it is a part of; absent where it is no part.
    pub(crate) whole: Option<fn(&Level) -> u64>,
}

/// All of them.
pub(crate) const NUMBERS: &[Number] = &[
    Number { name: "lost", of: |level| message(level, level.books.lost as f64), whole: Some(messages) },
    Number { name: "late", of: |level| message(level, level.books.late as f64), whole: Some(messages) },
    Number { name: "in_flight", of: |level| message(level, level.books.in_flight as f64), whole: Some(messages) },
    Number { name: "duplicates", of: |level| message(level, level.books.duplicates as f64), whole: Some(messages) },
    Number { name: "errors", of: |level| request(level, |http| http.failed() as f64), whole: Some(requests) },
    Number { name: "shed", of: |level| Ok(level.books.shed as f64), whole: Some(requests) },
    Number { name: "reordered", of: |level| sample(level, level.traces.reordered as f64), whole: Some(samples) },
    Number { name: "negative", of: |level| sample(level, level.traces.negative as f64), whole: None },
    Number { name: "stamps_dropped", of: |level| message(level, level.traces.stamps_dropped as f64), whole: None },
    Number {
        name: "backlog",
        of: |level| level.load.backlog.map(|backlog| backlog as f64).ok_or_else(another),
        whole: None,
    },
    Number {
        name: "unstable",
        of: |level| message(level, f64::from(u8::from(level.stability.unstable.is_some()))),
        whole: None,
    },
    Number {
        name: "rps",
        of: |level| {
            let rate = level.load.http.as_ref().ok_or_else(another)?.accepted_per_sec();
            rate.ok_or_else(|| none_accepted(level))
        },
        whole: None,
    },
    Number {
        // Of the rate that was asked for, where that was one of an open loop.
        name: "rate",
        of: |level| {
            let rate = level.load.rate.ok_or("the loop was closed: no rate was asked for")?;
            Ok(level.load.sent_share().ok_or_else(another)? * rate)
        },
        // A rate below one is rare, and then a number of requests tells little.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        whole: Some(|level| level.load.rate.map_or(0, |rate| (rate.round() as u64).max(1))),
    },
    Number {
        name: "delivered",
        // Where nothing arrives of what was accepted, nothing a second does.
        of: |level| message(level, level.delivered_per_sec().unwrap_or(0.0)),
        whole: None,
    },
];

/// Messages that the pipeline took in.
fn messages(level: &Level) -> u64 {
    level.books.accepted + level.books.unanswered
}

fn samples(level: &Level) -> u64 {
    level.traces.sampled
}

/// Requests sent; where nobody tells, what was taken in and what was refused.
fn requests(level: &Level) -> u64 {
    level.load.http.as_ref().map_or(messages(level) + level.books.shed, |http| http.requests)
}

/// A figure of messages tells nothing where there was none.
fn message(level: &Level, value: f64) -> Result<f64, String> {
    if messages(level) > 0 { Ok(value) } else { Err(none_accepted(level)) }
}

/// A figure of the sampled messages.
fn sample(level: &Level, value: f64) -> Result<f64, String> {
    message(level, value)?;
    if level.traces.sampled > 0 { Ok(value) } else { Err("no message was sampled".to_owned()) }
}

/// A figure of the requests.
fn request(level: &Level, value: impl Fn(&Http) -> f64) -> Result<f64, String> {
    let http = level.load.http.as_ref().ok_or_else(another)?;
    if http.requests > 0 { Ok(value(http)) } else { Err("no request was sent".to_owned()) }
}

fn none_accepted(level: &Level) -> String {
    match level.load.http.as_ref().and_then(|http| http.errors.iter().max_by_key(|(_, count)| **count)) {
        Some((kind, count)) => format!("no request was accepted ({count} × {kind})"),
        None => "no request was accepted".to_owned(),
    }
}

impl Metric {
    /// Whether both are one figure in one unit: a share is none of those that it is a share of.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Part(one), Self::Part(two)) => one == two,
            _ => discriminant(self) == discriminant(other) && self.to_string() == other.to_string(),
        }
    }

    /// Whether its values are µs.
    pub(crate) fn is_time(&self) -> bool {
        let is_time_of_part = |part: &Part| matches!(part.of, OfPart::Times(_) | OfPart::Arrival(_));
        matches!(self, Self::Latency(..) | Self::Cpu) || matches!(self, Self::Part(part) if is_time_of_part(part))
    }

    /// Whether it is of the whole sweep, and not of a level.
    pub(crate) fn is_of_the_sweep(&self) -> bool {
        matches!(self, Self::Capacity)
    }

    /// Whether only traced messages tell it.
    pub(crate) fn is_of_messages(&self) -> bool {
        match self {
            Self::Latency(Span::Http, _) => false,
            Self::Latency(..) | Self::Cpu | Self::Capacity => true,
            Self::Number(number) | Self::Share(number) => !["errors", "rate", "rps"].contains(&number.name),
            Self::Part(part) => matches!(part.of, OfPart::Arrival(_)),
        }
    }

    /// Sampled messages that it takes.
    pub(crate) fn samples_needed(&self) -> u64 {
        match self {
            Self::Latency(Span::Arrival | Span::User | Span::Hop(_), Figure::Percentile(percentile))
            | Self::Part(Part { of: OfPart::Arrival(Figure::Percentile(percentile)), .. }) => percentile.least_count(),
            _ => 0,
        }
    }

    /// Whether it is known while a load runs, as far as that has come.
    pub(crate) fn is_live(&self) -> bool {
        match self {
            Self::Latency(..) => true,
            Self::Number(number) | Self::Share(number) => {
                ["errors", "rate", "rps", "shed", "backlog", "duplicates"].contains(&number.name)
            }
            Self::Part(part) => !part.is_round,
            Self::Cpu | Self::Capacity => false,
        }
    }

    /// The stage whose hop it is about.
    pub(crate) fn stage(&self) -> Option<&Stage> {
        match self {
            Self::Latency(Span::Hop(stage), _) => Some(stage),
            _ => None,
        }
    }

    /// What is known of it where foreign clocks tell it.
    pub(crate) fn bound<'a>(&self, level: &'a Level) -> Option<&'a CausalBound> {
        let latency = match self {
            Self::Latency(Span::Arrival, _) | Self::Part(Part { of: OfPart::Arrival(_), .. }) => {
                ForeignLatency::Arrival
            }
            Self::Latency(Span::User, _) => ForeignLatency::User,
            Self::Latency(Span::Hop(stage), _) => ForeignLatency::Hop(stage.clone()),
            _ => return None,
        };
        level.bound_of(&latency)
    }

    /// Its value at a level.
    ///
    /// # Errors
    /// Why it was not measured.
    pub(crate) fn at(&self, level: &Level) -> Result<f64, String> {
        match self {
            Self::Latency(Span::Arrival, figure) => figure.of(&level.arrival),
            Self::Latency(Span::User, figure) => figure.of(&level.user),
            Self::Latency(Span::Http, figure) => {
                let http = level.load.http.as_ref().ok_or_else(another)?;
                figure.of_times(&http.times()).ok_or_else(|| none_accepted(level))
            }
            Self::Latency(Span::Hop(stage), figure) => {
                let hop = level.hops.iter().find(|hop| hop.stage == *stage);
                figure.of(&hop.ok_or_else(|| format!("no hop ends at a stage {stage}"))?.latency)
            }
            Self::Cpu => {
                level.cpu_us_per_message().ok_or_else(|| "nobody told what the pipeline's parts spent".to_owned())
            }
            Self::Number(number) => (number.of)(level),
            Self::Share(number) => {
                let (value, whole) = ((number.of)(level)?, number.whole.map_or(0, |whole| whole(level)));
                if whole > 0 { Ok(100.0 * value / whole as f64) } else { Err(none_accepted(level)) }
            }
            Self::Part(part) => part.at(level),
            Self::Capacity => Err("it is of the whole sweep".to_owned()),
        }
    }

    /// The percentile of traced messages that it is, and the latency that it is of at a level.
    fn percentile_at<'a>(&self, level: &'a Level) -> Option<(&'a Distribution, Percentile)> {
        let (latency, figure) = match self {
            Self::Latency(Span::Arrival, figure) => (&level.arrival, figure),
            Self::Latency(Span::User, figure) => (&level.user, figure),
            Self::Latency(Span::Hop(stage), figure) => {
                (&level.hops.iter().find(|hop| hop.stage == *stage)?.latency, figure)
            }
            Self::Part(Part { name, of: OfPart::Arrival(figure), .. }) => {
                (&level.steps.iter().find(|step| step.name == *name)?.arrival, figure)
            }
            _ => return None,
        };
        let Figure::Percentile(percentile) = figure else { return None };
        Some((latency, *percentile))
    }

    /// Whether a level has fewer sampled messages than it takes.
    pub(crate) fn lacks_samples(&self, level: &Level) -> bool {
        self.percentile_at(level)
            .is_some_and(|(latency, percentile)| latency.count + latency.censored < percentile.least_count())
    }

    /// The 95 % interval of its value at a level, whose upper end may be open; absent where it has none.
    pub(crate) fn interval_at(&self, level: &Level) -> Option<(f64, Option<f64>)> {
        let (latency, percentile) = self.percentile_at(level)?;
        let interval = latency.interval(percentile)?;
        Some((interval.low_us as f64, interval.high_us.map(|us| us as f64)))
    }

    /// Its value in the whole report.
    ///
    /// # Errors
    /// Why it was not measured.
    pub(crate) fn of_sweep(report: &Report) -> Result<f64, String> {
        let capacity = report.findings.capacity.as_ref().map(|capacity| capacity.delivered_per_sec);
        let limit_ms = report.p99_limit_us as f64 / 1e3;
        capacity.ok_or_else(|| format!("no level was carried with an arrival p99 of at most {limit_ms} ms"))
    }
}

impl Part {
    fn at(&self, level: &Level) -> Result<f64, String> {
        let scenario = level.load.scenario.as_ref().ok_or("the load had no steps")?;
        let absent = || format!("there is no {} {}", if self.is_round { "task" } else { "step" }, self.name);
        let (times, all, failed) = if self.is_round {
            let rounds = scenario.rounds.iter().find(|rounds| rounds.task == self.name).ok_or_else(absent)?;
            (rounds.whole, rounds.ended, rounds.failed)
        } else {
            let step = scenario.steps.iter().find(|step| step.name == self.name).ok_or_else(absent)?;
            (step.response, step.requests, step.errors.values().sum())
        };
        let none = || if all == 0 { "none was sent".to_owned() } else { "none went well".to_owned() };
        match self.of {
            OfPart::Errors | OfPart::ErrorShare if all == 0 => Err(none()),
            OfPart::Errors => Ok(failed as f64),
            OfPart::ErrorShare => Ok(100.0 * failed as f64 / all as f64),
            OfPart::Times(figure) => figure.of_times(&times).ok_or_else(none),
            OfPart::Arrival(figure) => {
                let step = level.steps.iter().find(|step| step.name == self.name);
                figure.of(&step.ok_or("its requests are no traced messages")?.arrival)
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = if self.is_round { "rounds" } else { "steps" };
        write!(f, "{first}.{}.", self.name)?;
        match self.of {
            OfPart::Times(figure) => f.write_str(figure.name()),
            OfPart::Arrival(figure) => write!(f, "arrival.{}", figure.name()),
            OfPart::Errors | OfPart::ErrorShare => f.write_str("errors"),
        }
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
    fn of_times(self, times: &Times) -> Option<f64> {
        match self {
            Self::Mean => times.mean_us,
            Self::Percentile(Percentile::P50) => times.p50_us.map(|us| us as f64),
            // The grammar takes no other percentile of it.
            Self::Percentile(_) => times.p99_us.map(|us| us as f64),
            Self::Max => times.max_us.map(|us| us as f64),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Percentile(percentile) => percentile.name(),
            Self::Max => "max",
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
                write!(f, "{span}.{}", figure.name())
            }
            Self::Cpu => f.write_str("cpu"),
            Self::Number(number) | Self::Share(number) => f.write_str(number.name),
            Self::Part(part) => part.fmt(f),
            Self::Capacity => f.write_str("capacity"),
        }
    }
}
