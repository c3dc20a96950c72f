//! Single values: numbers, times, rates, ranges of statuses. Parameters and variables of the environment may stand in each.

use super::Reader;
use super::table::list;
use crate::model::Span;
use crate::problem::meant;
use crate::text::{Expression, Piece};
use crate::yaml::{Node, Value};
use std::str::FromStr;
use std::time::Duration;

/// The highest rate that may be asked for, a second; options have the same bound.
const HIGHEST_RATE: f64 = 10_000_000.0;

impl Reader<'_> {
    /// The text of a scalar.
    pub(super) fn text_of<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        if let Value::Scalar { text, .. } = &node.value {
            return Some(text);
        }
        self.refuse(node.place, "one value stands here, and no list or map")
    }

    /// A text that is known before the load: parameters and the environment may stand in it.
    pub(super) fn constant(&mut self, node: &Node) -> Option<String> {
        let text = self.text_of(node)?;
        let pieces = self.pieces(text, node)?;
        let mut constant = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(text) => constant.push_str(text),
                Piece::Placeholder(placeholder) => {
                    let value = match placeholder.expression {
                        Expression::Name("env", Some(variable)) => self.variable(variable, placeholder.or, node)?,
                        Expression::Name("host", Some(name)) if self.hosts.contains_key(name) => {
                            self.hosts[name].clone()
                        }
                        Expression::Name(name, None) if self.params.contains_key(name) => self.params[name].clone(),
                        _ => {
                            let place = self.place_of(node, placeholder.written);
                            let (name, params) =
                                (&placeholder.written[2..placeholder.written.len() - 1], self.params.keys());
                            let near = meant(name, params.map(String::as_str));
                            let message = format!(
                                "`{name}` is no parameter: here stand only params and ${{env.X}}, which are known before the load"
                            );
                            self.fault_with(place, message, near.unwrap_or_default());
                            return None;
                        }
                    };
                    constant.push_str(&value);
                }
            }
        }
        Some(constant)
    }

    /// A variable of the environment.
    pub(super) fn variable(&mut self, variable: &str, or: Option<&str>, node: &Node) -> Option<String> {
        if let Some(value) = (self.input.environment)(variable) {
            self.secrets.add(&value);
            return Some(value);
        }
        if or.is_none() {
            self.fault(node.place, format!("the environment has no {variable}: set it"));
        }
        or.map(str::to_owned)
    }

    /// A value in one of the ways in which it is written; `form` says how, as in `a whole number such as 5`.
    pub(super) fn parsed<T>(&mut self, node: &Node, form: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.constant(node)?;
        let parsed = parse(text.trim());
        if parsed.is_none() {
            self.fault(node.place, format!("{text:?} is not {form}"));
        }
        parsed
    }

    /// A whole number above 0.
    pub(super) fn positive<T: FromStr + PartialOrd + From<u8>>(&mut self, node: &Node) -> Option<T> {
        self.parsed(node, "a whole number above 0, such as 5", |text| {
            text.parse().ok().filter(|number: &T| *number >= T::from(1))
        })
    }

    /// A whole number, 0 included.
    pub(super) fn whole<T: FromStr>(&mut self, node: &Node) -> Option<T> {
        self.parsed(node, "a whole number, such as 5", |text| text.parse().ok())
    }

    /// A number above 0, decimals allowed.
    pub(super) fn weight(&mut self, node: &Node) -> Option<f64> {
        let above = |number: &f64| number.is_finite() && *number > 0.0;
        self.parsed(node, "a number above 0, such as 2 or 0.5", |text| text.parse().ok().filter(above))
    }

    /// `50/s`, `3000/min`.
    pub(super) fn rate(&mut self, node: &Node) -> Option<f64> {
        let rate = self.parsed(node, "a rate such as 200/s or 30/min", |text| {
            let (number, unit) = text.split_once('/')?;
            let seconds = match unit.trim() {
                "s" => 1.0,
                "min" | "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
            let rate = number.trim().parse::<f64>().ok()? / seconds;
            (rate.is_finite() && rate > 0.0).then_some(rate)
        })?;
        if rate > HIGHEST_RATE {
            return self.refuse(node.place, format!("no rate is above {HIGHEST_RATE}/s: give a lower one"));
        }
        Some(rate)
    }

    /// `10s`, `1.5s`, `200ms`, `2m`.
    pub(super) fn time(&mut self, node: &Node) -> Option<Duration> {
        let text = self.constant(node)?;
        let time = stamp::parse_duration(text.trim());
        time.map_err(|why| self.fault(node.place, format!("{text:?} is no time: {why}"))).ok()
    }

    /// The same, but not 0.
    pub(super) fn lasting(&mut self, node: &Node) -> Option<Duration> {
        let time = self.time(node)?;
        if time.is_zero() {
            return self.refuse(node.place, "this lasts no time at all: give a longer one");
        }
        Some(time)
    }

    /// `1s`, or a range `1s..5s`.
    pub(super) fn span(&mut self, node: &Node) -> Option<Span> {
        let text = self.constant(node)?;
        let (least, most) = text.trim().split_once("..").unwrap_or((text.trim(), text.trim()));
        // The unit of a range may stand once: 1..5s.
        let unit = most.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let least =
            if least.ends_with(|c: char| c.is_ascii_digit()) { format!("{least}{unit}") } else { least.to_owned() };
        let span =
            stamp::parse_duration(&least).and_then(|least| Ok(Span { least, most: stamp::parse_duration(most)? }));
        let told = |why| format!("{text:?} is neither a time such as 1s nor a range such as 1s..5s: {why}");
        let span = span.map_err(|why| self.fault(node.place, told(why))).ok()?;
        if span.least > span.most {
            return self.refuse(node.place, "this range ends before it begins: swap its ends");
        }
        Some(span)
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, node: &Node) -> Option<bool> {
        self.parsed(node, "true or false", |text| match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = self.constant(node)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let remedy =
            meant(&text, known.iter().copied()).unwrap_or_else(|| format!("write one of {}", known.join(", ")));
        self.refuse(node.place, format!("`{text}` is not known here: {remedy}"))
    }

    /// `200`, `201..202`, or a list of these.
    pub(super) fn statuses(&mut self, node: &Node) -> Vec<(u16, u16)> {
        let mut all = Vec::new();
        for node in list(node) {
            let range = self.parsed(node, "a status such as 204, or a range such as 200..299", |text| {
                let (first, last) = text.split_once("..").unwrap_or((text, text));
                let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
                (100..=599).contains(&first).then_some(())?;
                (first..=599).contains(&last).then_some((first, last))
            });
            all.extend(range);
        }
        all
    }
}
