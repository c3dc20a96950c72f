//! How a threshold is written: `FIGURE OPERATOR VALUE[UNIT][@c=N|@r=N][,abort[ after TIME]]`, for example `arrival.p99<50ms@c=20`. Pure.

use super::measure::{Figure, Metric, NUMBERS, OfPart, Part, Span};
use crate::{Load, Percentile};
use stamp::Stage;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What must hold of one figure, at every level or at one of them.
#[derive(Debug, Clone)]
pub struct Threshold {
    /// As it was written, without spaces.
    text: String,
    pub(crate) metric: Metric,
    pub(crate) operator: Operator,
    /// Times are in µs.
    pub(crate) limit: f64,
    pub(crate) place: Option<Place>,
    /// A level ends where it does not hold, from this time on since the level began.
    abort: Option<Duration>,
}

/// How the figure must stand to the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
    Different,
}

/// The level that is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Concurrency(u32),
    Rate(f64),
}

/// A text is no threshold.
#[derive(Debug, thiserror::Error)]
pub enum InvalidThreshold {
    /// It has no operator.
    #[error(
        "{0:?} compares nothing: write a figure, one of < <= > >= == !=, and a value, for example arrival.p99<50ms or lost==0"
    )]
    NoOperator(String),
    /// Its operator is none.
    #[error("{0:?} is no operator: write one of < <= > >= == !=")]
    Operator(String),
    /// Its figure is none.
    #[error("{0:?} is no figure of a report: write a latency such as arrival.p99, or one of {names}", names = names())]
    Metric(String),
    /// The latency has no such figure.
    #[error("{figure:?} is no figure of {of}: write one of {known}")]
    Figure {
        /// Of which latency.
        of: String,
        /// What was asked for.
        figure: String,
        /// What there is.
        known: &'static str,
    },
    /// There is no value, or it is no number.
    #[error("{0:?} is no value: write a number behind the operator, for example 50ms for a time or 20k for a number")]
    Value(String),
    /// A time has no unit.
    #[error("{value} has no unit, and {metric} is a time: write {value}ms, or another of ns, us, µs, ms, s and m")]
    NoUnit {
        /// The number.
        value: f64,
        /// The figure.
        metric: String,
    },
    /// A unit does not fit.
    #[error("{unit:?} is no unit of {metric}: write {remedy}")]
    Unit {
        /// What was written.
        unit: String,
        /// The figure.
        metric: String,
        /// What fits.
        remedy: &'static str,
    },
    /// The level is not understood.
    #[error(
        "{0:?} names no level: write @c=20 for the one with 20 connections, or @r=5000 for the one with 5000 requests a second"
    )]
    Place(String),
    /// What ends a level is not understood.
    #[error("{0:?} does not say when a level is ended: write ,abort or ,abort after 10s behind the value")]
    Abort(String),
    /// The figure is not known while a load runs.
    #[error(
        "{0} is known only once a load has ended and been drained, so that it ends none: leave `abort` out, or take a latency, errors, rate, rps, shed or backlog"
    )]
    NotLive(String),
    /// The figure belongs to the whole sweep.
    #[error("{0} is a figure of the whole sweep and not of one level: leave the @ and what follows it out")]
    Whole(String),
}

impl FromStr for Threshold {
    type Err = InvalidThreshold;

    fn from_str(text: &str) -> Result<Self, InvalidThreshold> {
        let text = text.trim();
        // Names of steps may hold any of these characters: there, the last of them count.
        let is_part = text.starts_with("steps.") || text.starts_with("rounds.");
        let (what, abort) = match abort(text, is_part)? {
            Some((what, after)) => (what, Some(after)),
            None => (text, None),
        };
        let place = if is_part {
            what.rsplit_once('@').filter(|(_, place)| place.trim_start().starts_with(['c', 'r']))
        } else {
            what.split_once('@')
        };
        let (condition, place) = match place {
            Some((condition, place)) => (condition, Some(place.trim().parse()?)),
            None => (what, None),
        };
        let is_operator = |c: char| "<>=!".contains(c);
        let begin = if is_part {
            condition.rfind(is_operator).map(|last| condition[..last].trim_end_matches(is_operator).len())
        } else {
            condition.find(is_operator)
        };
        let begin = begin.ok_or_else(|| InvalidThreshold::NoOperator(text.to_owned()))?;
        let (name, rest) = condition.split_at(begin);
        let end = rest.find(|c| !is_operator(c)).unwrap_or(rest.len());
        let (operator, value) = rest.split_at(end);
        let metric: Metric = name.trim().parse()?;
        let operator = operator.parse()?;
        let (metric, limit) = limit(value.trim(), metric)?;
        if metric.is_of_the_sweep() && place.is_some() {
            return Err(InvalidThreshold::Whole(metric.to_string()));
        }
        if abort.is_some() && !metric.is_live() {
            return Err(InvalidThreshold::NotLive(metric.to_string()));
        }
        // Such spaces as there may be lie between its parts, or in the name of a step.
        let told = if is_part { what.trim_end().to_owned() } else { what.split_whitespace().collect() };
        let text = match abort {
            None => told,
            Some(after) if after.is_zero() => format!("{told},abort"),
            Some(after) => format!("{told},abort after {}", humantime::format_duration(after)),
        };
        Ok(Self { text, metric, operator, limit, place, abort })
    }
}

impl Threshold {
    /// Whether only traced messages tell it.
    pub fn is_of_messages(&self) -> bool {
        self.metric.is_of_messages()
    }

    /// Sampled messages that its figure takes.
    pub fn samples_needed(&self) -> u64 {
        self.metric.samples_needed()
    }

    /// Its limit, where it is one of the p99 of arrival latency.
    pub fn limit_of_arrival_p99(&self) -> Option<Duration> {
        let is_limit = matches!(self.operator, Operator::Below | Operator::AtMost);
        let is_p99 = matches!(self.metric, Metric::Latency(Span::Arrival, Figure::Percentile(Percentile::P99)));
        (is_limit && is_p99 && self.limit > 0.0).then(|| Duration::from_secs_f64(self.limit / 1e6))
    }

    /// Whether no value satisfies both, where both are of one figure at one level.
    pub fn contradicts(&self, other: &Self) -> bool {
        let is_one_level = self.place == other.place || self.place.is_none() || other.place.is_none();
        let (one, two) = (self.limit, other.limit);
        // What satisfies both is one of these, or behaves as one of them does.
        let mut values = [one, two, f64::midpoint(one, two), one.min(two) - 1.0, one.max(two) + 1.0].into_iter();
        self.metric.is_same(&other.metric)
            && is_one_level
            && !values.any(|value| self.operator.holds(value, one) && other.operator.holds(value, two))
    }

    /// From which time on, since the level began, it ends a level in which it does not hold; absent where it ends none.
    pub fn aborts_after(&self) -> Option<Duration> {
        self.abort
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Operator {
    type Err = InvalidThreshold;

    fn from_str(text: &str) -> Result<Self, InvalidThreshold> {
        Ok(match text {
            "<" => Self::Below,
            "<=" => Self::AtMost,
            ">" => Self::Above,
            ">=" => Self::AtLeast,
            "==" => Self::Equal,
            "!=" => Self::Different,
            other => return Err(InvalidThreshold::Operator(other.to_owned())),
        })
    }
}

impl Operator {
    /// Whether a value stands to the limit as it must.
    pub(crate) fn holds(self, value: f64, limit: f64) -> bool {
        let Some(order) = value.partial_cmp(&limit) else { return false };
        match self {
            Self::Below => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Above => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Equal => order.is_eq(),
            Self::Different => order.is_ne(),
        }
    }

    /// The worse of two values is the one that is further from holding.
    pub(crate) fn cmp_badness(self, one: f64, other: f64, limit: f64) -> Ordering {
        let badness = |value: f64| match self {
            Self::Below | Self::AtMost => value,
            Self::Above | Self::AtLeast => -value,
            Self::Equal => (value - limit).abs(),
            Self::Different => -(value - limit).abs(),
        };
        badness(one).total_cmp(&badness(other))
    }
}

impl FromStr for Place {
    type Err = InvalidThreshold;

    fn from_str(text: &str) -> Result<Self, InvalidThreshold> {
        let place = match text.split_once('=').map(|(axis, number)| (axis.trim(), number.trim())) {
            Some(("c", number)) => number.parse().ok().map(Self::Concurrency),
            Some(("r", number)) => number.parse().ok().filter(|rate: &f64| rate.is_finite()).map(Self::Rate),
            _ => None,
        };
        place.ok_or_else(|| InvalidThreshold::Place(format!("@{text}")))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Concurrency(connections) => write!(f, "c={connections}"),
            Self::Rate(rate) => write!(f, "r={rate}"),
        }
    }
}

impl Place {
    /// Where a load stands; absent where another program made it.
    pub(crate) fn of(load: &Load) -> Option<Self> {
        load.rate.map(Self::Rate).or(load.concurrency.map(Self::Concurrency))
    }
}

impl FromStr for Metric {
    type Err = InvalidThreshold;

    fn from_str(text: &str) -> Result<Self, InvalidThreshold> {
        let unknown = || InvalidThreshold::Metric(text.to_owned());
        if let Some(part) = Part::parse(text) {
            return part;
        }
        let Some((of, figure)) = text.split_once('.') else {
            return match text {
                "cpu" => Ok(Self::Cpu),
                "capacity" => Ok(Self::Capacity),
                name => {
                    let number = NUMBERS.iter().find(|number| number.name == name);
                    number.map(Self::Number).ok_or_else(unknown)
                }
            };
        };
        let (span, known) = match of {
            "arrival" => (Span::Arrival, FIGURES),
            "user" => (Span::User, FIGURES),
            // k6 and Locust call it so.
            "http" | "response" => (Span::Http, HTTP_FIGURES),
            stage => (Span::Hop(stage.parse::<Stage>().map_err(|_| unknown())?), FIGURES),
        };
        let wrong = || InvalidThreshold::Figure { of: of.to_owned(), figure: figure.to_owned(), known };
        if !known.split(", ").any(|name| name == figure) {
            return Err(wrong());
        }
        Ok(Self::Latency(span, Figure::parse(figure).ok_or_else(wrong)?))
    }
}

impl Figure {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "mean" => Some(Self::Mean),
            "max" => Some(Self::Max),
            name => Percentile::ALL.into_iter().find(|percentile| percentile.name() == name).map(Self::Percentile),
        }
    }
}

impl Part {
    /// Reads `steps.NAME.p99`, `steps.NAME.arrival.p99`, `steps.NAME.errors`, or the same of `rounds`; nothing where it begins otherwise.
    fn parse(text: &str) -> Option<Result<Metric, InvalidThreshold>> {
        let (first, rest) = text.split_once('.')?;
        let is_round = match first {
            "steps" => false,
            "rounds" => true,
            _ => return None,
        };
        let wrong =
            |figure: &str, known| InvalidThreshold::Figure { of: text.to_owned(), figure: figure.to_owned(), known };
        let Some((name, figure)) = rest.rsplit_once('.').filter(|(name, _)| !name.is_empty()) else {
            return Some(Err(wrong(rest, PART_FIGURES)));
        };
        let (name, is_arrival) = match name.strip_suffix(".arrival") {
            Some(name) if !is_round => (name, true),
            _ => (name, false),
        };
        let known = if is_arrival { FIGURES } else { PART_FIGURES };
        let of = match (figure, is_arrival) {
            ("errors", false) => Some(OfPart::Errors),
            _ if !known.split(", ").any(|name| name == figure) => None,
            (_, true) => Figure::parse(figure).map(OfPart::Arrival),
            (_, false) => Figure::parse(figure).map(OfPart::Times),
        };
        let of = of.ok_or_else(|| wrong(figure, known));
        Some(of.map(|of| Metric::Part(Part { is_round, name: name.to_owned(), of })))
    }
}

/// Takes `,abort` off the end, with the time from which on it ends a level.
fn abort(text: &str, is_part: bool) -> Result<Option<(&str, Duration)>, InvalidThreshold> {
    // Names of steps may hold commas.
    let split = text.rsplit_once(',').filter(|(_, rest)| !is_part || rest.trim_start().starts_with("abort"));
    let Some((condition, rest)) = split else { return Ok(None) };
    let wrong = || InvalidThreshold::Abort(format!(",{rest}"));
    let after = rest.trim().strip_prefix("abort").ok_or_else(wrong)?.trim();
    let after = after.strip_prefix("after").or(after.strip_prefix('=')).unwrap_or(after).trim();
    let after = if after.is_empty() { Duration::ZERO } else { stamp::parse_duration(after).map_err(|_| wrong())? };
    Ok(Some((condition, after)))
}

/// The figures of steps and of rounds.
const PART_FIGURES: &str = "mean, p50, p99, max, errors";

/// The figures of a latency.
const FIGURES: &str = "mean, p50, p90, p95, p99, p999, max";

/// Those of them that the load generator tells.
const HTTP_FIGURES: &str = "mean, p50, p99, max";

/// The value behind the operator, µs where the figure is a time; and the figure, which a unit of % turns into a share.
fn limit(text: &str, metric: Metric) -> Result<(Metric, f64), InvalidThreshold> {
    let number = text.trim_end_matches(|c: char| c.is_alphabetic() || c == '%');
    let unit = &text[number.len()..];
    let value = number.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    let value = value.ok_or_else(|| InvalidThreshold::Value(text.to_owned()))?;
    let wrong = |remedy| InvalidThreshold::Unit { unit: unit.to_owned(), metric: metric.to_string(), remedy };
    if metric.is_time() {
        return match unit {
            "" => Err(InvalidThreshold::NoUnit { value, metric: metric.to_string() }),
            "ns" => Ok((metric, value / 1e3)),
            // The sign for micro, and the Greek letter that looks the same.
            "us" | "\u{b5}s" | "\u{3bc}s" => Ok((metric, value)),
            "ms" => Ok((metric, value * 1e3)),
            "s" => Ok((metric, value * 1e6)),
            "m" => Ok((metric, value * 60e6)),
            _ => Err(wrong("one of ns, us, µs, ms, s and m behind the number")),
        };
    }
    match (unit, &metric) {
        ("%", Metric::Part(part)) if part.of == OfPart::Errors => {
            Ok((Metric::Part(Part { of: OfPart::ErrorShare, ..part.clone() }), value))
        }
        ("%", &Metric::Number(number)) if number.whole.is_some() => Ok((Metric::Share(number), value)),
        ("", _) => Ok((metric, value)),
        ("k", _) => Ok((metric, value * 1e3)),
        ("M", _) => Ok((metric, value * 1e6)),
        _ => Err(wrong("a plain number, or one with k for thousands or M for millions")),
    }
}

fn names() -> String {
    let numbers = NUMBERS.iter().map(|number| number.name);
    numbers.chain(["capacity", "cpu"]).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Threshold {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn values_have_units() {
        for (text, limit) in [
            ("arrival.p99<50ms", 50_000.0),
            ("arrival.p50<1ns", 0.001),
            ("user.max <= 2s", 2e6),
            ("pushserver.mean<1.5us", 1.5),
            ("http.p99<7µs", 7.0),
            ("user.p999<1m", 60e6),
            ("cpu<93us", 93.0),
            ("lost==0", 0.0),
            ("rps>20k", 20_000.0),
            ("capacity>=1.2M", 1_200_000.0),
            ("delivered>1e3", 1_000.0),
        ] {
            assert!((parsed(text).limit - limit).abs() < 1e-9, "{text}: {}", parsed(text).limit);
        }
    }

    #[test]
    fn operators_and_places() {
        let threshold = parsed(" arrival.p99 >= 3ms @ c=20 ");
        assert_eq!((threshold.operator, threshold.place), (Operator::AtLeast, Some(Place::Concurrency(20))));
        assert_eq!(threshold.to_string(), "arrival.p99>=3ms@c=20");
        assert_eq!(parsed("lost!=1@r=0.5").place, Some(Place::Rate(0.5)));
        for (operator, below, at, above) in [
            ("<", true, false, false),
            ("<=", true, true, false),
            (">", false, false, true),
            (">=", false, true, true),
            ("==", false, true, false),
            ("!=", true, false, true),
        ] {
            let operator: Operator = operator.parse().unwrap();
            assert_eq!([1.0, 2.0, 3.0].map(|value| operator.holds(value, 2.0)), [below, at, above], "{operator:?}");
            assert!(!operator.holds(f64::NAN, 2.0));
        }
    }

    #[test]
    fn some_end_a_level() {
        let after = |text: &str| parsed(text).aborts_after().map(|after| after.as_secs());
        assert_eq!(after("errors<1%,abort"), Some(0));
        assert_eq!(after("errors<1% @c=20 , abort after 10s"), Some(10));
        assert_eq!(after("arrival.p99<50ms,abort=1m"), Some(60));
        assert_eq!(after("steps.a, b.p99<50ms"), None);
        assert_eq!(after("steps.a, b.p99<50ms,abort"), Some(0));
        assert_eq!(after("errors<1%"), None);
        assert_eq!(parsed("response.p99<5ms , abort").to_string(), "response.p99<5ms,abort");
        assert_eq!(parsed("errors < 1% @c=2,abort=90s").to_string(), "errors<1%@c=2,abort after 1m 30s");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_remedy() {
        let told = |text: &str| text.parse::<Threshold>().unwrap_err().to_string();
        insta::assert_snapshot!(told(""), @r#""" compares nothing: write a figure, one of < <= > >= == !=, and a value, for example arrival.p99<50ms or lost==0"#);
        insta::assert_snapshot!(told("lost"), @r#""lost" compares nothing: write a figure, one of < <= > >= == !=, and a value, for example arrival.p99<50ms or lost==0"#);
        insta::assert_snapshot!(told("lost=0"), @r#""=" is no operator: write one of < <= > >= == !="#);
        insta::assert_snapshot!(told("lost=<0"), @r#""=<" is no operator: write one of < <= > >= == !="#);
        insta::assert_snapshot!(told("loss==0"), @r#""loss" is no figure of a report: write a latency such as arrival.p99, or one of lost, late, in_flight, duplicates, errors, shed, reordered, negative, stamps_dropped, backlog, unstable, rps, rate, delivered, capacity, cpu"#);
        insta::assert_snapshot!(told("Arrival.p99<1ms"), @r#""Arrival.p99" is no figure of a report: write a latency such as arrival.p99, or one of lost, late, in_flight, duplicates, errors, shed, reordered, negative, stamps_dropped, backlog, unstable, rps, rate, delivered, capacity, cpu"#);
        insta::assert_snapshot!(told("arrival.p98<1ms"), @r#""p98" is no figure of arrival: write one of mean, p50, p90, p95, p99, p999, max"#);
        insta::assert_snapshot!(told("http.p95<1ms"), @r#""p95" is no figure of http: write one of mean, p50, p99, max"#);
        insta::assert_snapshot!(told("arrival.p99<"), @r#""" is no value: write a number behind the operator, for example 50ms for a time or 20k for a number"#);
        insta::assert_snapshot!(told("arrival.p99<infs"), @r#""infs" is no value: write a number behind the operator, for example 50ms for a time or 20k for a number"#);
        insta::assert_snapshot!(told("arrival.p99<50"), @"50 has no unit, and arrival.p99 is a time: write 50ms, or another of ns, us, µs, ms, s and m");
        insta::assert_snapshot!(told("arrival.p99<50h"), @r#""h" is no unit of arrival.p99: write one of ns, us, µs, ms, s and m behind the number"#);
        insta::assert_snapshot!(told("lost<5ms"), @r#""ms" is no unit of lost: write a plain number, or one with k for thousands or M for millions"#);
        insta::assert_snapshot!(told("lost==0@20"), @r#""@20" names no level: write @c=20 for the one with 20 connections, or @r=5000 for the one with 5000 requests a second"#);
        insta::assert_snapshot!(told("lost==0@c=many"), @r#""@c=many" names no level: write @c=20 for the one with 20 connections, or @r=5000 for the one with 5000 requests a second"#);
        insta::assert_snapshot!(told("errors<1%,stop"), @r#"",stop" does not say when a level is ended: write ,abort or ,abort after 10s behind the value"#);
        insta::assert_snapshot!(told("errors<1%,abort soon"), @r#"",abort soon" does not say when a level is ended: write ,abort or ,abort after 10s behind the value"#);
        insta::assert_snapshot!(told("lost==0,abort"), @"lost is known only once a load has ended and been drained, so that it ends none: leave `abort` out, or take a latency, errors, rate, rps, shed or backlog");
        insta::assert_snapshot!(told("capacity>1k@c=20"), @"capacity is a figure of the whole sweep and not of one level: leave the @ and what follows it out");
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_refused_or_shown_so_that_it_means_the_same(
            text in r"(arrival\.p99|user.mean|lost|rps|cpu|\PC{0,6}) ?[<>=!]{0,2} ?[0-9]{0,4}(ms|s|m|µs|k| |\PC)?(@ ?[cr]=[0-9]{0,3})?",
        ) {
            if let Ok(threshold) = text.parse::<Threshold>() {
                let shown = threshold.to_string();
                let again = parsed(&shown);
                prop_assert_eq!(&again.to_string(), &shown);
                prop_assert_eq!((again.operator, again.place), (threshold.operator, threshold.place));
                prop_assert!(again.limit.total_cmp(&threshold.limit).is_eq());
            }
        }
    }
}
