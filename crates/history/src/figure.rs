//! A figure of a run, and how it is shown.

use analysis::{Ended, KeyFigure, KeyFigureKind, Over, Report};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most that holds: in messages or rounds a second, and in users.
pub const CAPACITIES: [&str; 2] = ["capacity", "capacity_users"];

/// A figure of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// In its unit.
    pub value: f64,
    /// The lower end of its 95 % interval, where it has one by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The upper end; absent also where the interval has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// `µs`, `/s`, `users`, or empty for counts.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
    /// The level that it is of; absent where it is of the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// More.
    Higher,
    /// Less.
    Lower,
}

impl Figure {
    /// A value with its unit, for people: times in ms, or in µs where they are shorter than that.
    pub fn shown(&self, value: f64) -> String {
        self.scale(value).shown(value)
    }

    /// Its own value with its interval.
    pub fn told(&self) -> String {
        let scale = self.scale(self.value);
        let interval = match (self.low, self.high) {
            (Some(low), Some(high)) => format!(" ({} to {})", scale.bare(low), scale.bare(high)),
            (Some(low), None) => format!(" (above {})", scale.bare(low)),
            (None, Some(high)) => format!(" (below {})", scale.bare(high)),
            _ => String::new(),
        };
        scale.shown(self.value) + &interval
    }

    /// Whether it has changed since `then` as far as their values tell: they are of the same level, and what is "at least" so much is not less, nor what
    /// is "at most" so much more.
    pub fn is_comparable(&self, then: &Self) -> bool {
        let is_at_least = |figure: &Self| figure.high.is_none() && figure.low == Some(figure.value);
        let is_at_most = |figure: &Self| figure.low.is_none() && figure.high == Some(figure.value);
        let (less, more) = if self.value < then.value { (self, then) } else { (then, self) };
        self.level == then.level && !is_at_least(less) && !is_at_most(more)
    }

    /// In what values about this large are shown.
    pub(crate) fn scale(&self, value: f64) -> Scale {
        match self.unit.as_str() {
            "µs" if value.abs() < 999.5 => Scale { of_unit: 1.0, unit: " µs" },
            "µs" => Scale { of_unit: 1e3, unit: " ms" },
            "/s" => Scale { of_unit: 1.0, unit: "/s" },
            "users" => Scale { of_unit: 1.0, unit: " users" },
            _ => Scale { of_unit: 1.0, unit: "" },
        }
    }
}

/// What values are shown in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    /// One of it in units of the figure.
    pub(crate) of_unit: f64,
    /// What stands behind it.
    pub(crate) unit: &'static str,
}

impl Scale {
    fn shown(self, value: f64) -> String {
        self.bare(value) + self.unit
    }

    /// Without its unit, in about three digits; counts whole.
    fn bare(self, value: f64) -> String {
        let value = value / self.of_unit;
        let decimals = match value.abs() {
            _ if value.fract() == 0.0 && self.unit != " ms" => 0,
            ..9.995 => 2,
            ..99.95 => 1,
            _ => 0,
        };
        analysis::number::grouped(value, decimals)
    }
}

/// What a figure is, for people.
pub(crate) fn about(name: &str) -> String {
    match name {
        "capacity" => "capacity".to_owned(),
        "capacity_users" => "capacity in users".to_owned(),
        name => KeyFigureKind::of(name).map_or_else(|| name.replace('_', " "), |kind| kind.about.to_owned()),
    }
}

/// Names of figures in the order in which they are shown; those that are not known here come last.
pub(crate) fn ordered<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let place = |name: &str| KeyFigureKind::ALL.iter().position(|kind| kind.name == name).unwrap_or(usize::MAX);
    let mut names: Vec<&str> = names.collect();
    names.sort_by(|one, other| place(one).cmp(&place(other)).then(one.cmp(other)));
    names.dedup();
    names
}

/// The key figures of a report.
pub(crate) fn figures(report: &Report) -> BTreeMap<String, Figure> {
    let level = report.key_level().and_then(|level| {
        let load = &level.load;
        load.rate.map(|rate| format!("r={rate}")).or(load.concurrency.map(|connections| format!("c={connections}")))
    });
    let figure = |found: KeyFigure| {
        let kind = KeyFigureKind::of(&found.name)?;
        let figure = Figure {
            value: found.value,
            low: found.low,
            high: found.high,
            unit: kind.unit.trim_start().to_owned(),
            better: if kind.more_is_better { Better::Higher } else { Better::Lower },
            level: level.clone().filter(|_| !CAPACITIES.contains(&kind.name)),
        };
        // JSON has no number for what is not finite.
        figure.value.is_finite().then_some((found.name, figure))
    };
    let lowest = report.search.as_ref().filter(|search| search.ended == Ended::LowestFails);
    // It is below what was tried: so a later run can tell that it has fallen.
    let below = lowest.and_then(|search| {
        let name = CAPACITIES[usize::from(search.over == Over::Users)].to_owned();
        Some(KeyFigure { name, value: search.high?, low: None, high: search.high })
    });
    report.key_figures().into_iter().chain(below).filter_map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::report_of;

    #[test]
    fn values_are_shown_in_the_unit_that_fits() {
        let figures = figures(&report_of(&[1, 4, 20]));
        let p99 =
            Figure { value: 2_232.0, low: Some(2_187.0), high: Some(2_277.0), ..figures["arrival_p99_us"].clone() };
        assert_eq!(p99.told(), "2.23 ms (2.19 to 2.28)");
        assert_eq!(Figure { high: None, ..p99.clone() }.told(), "2.23 ms (above 2.19)");
        assert_eq!(Figure { low: None, ..p99.clone() }.told(), "2.23 ms (below 2.28)");
        let cpu = Figure { value: 88.25, low: None, high: None, ..p99.clone() };
        assert_eq!((cpu.told(), cpu.shown(1200.0)), ("88.2 µs".to_owned(), "1.20 ms".to_owned()));
        assert_eq!(figures["http_p99_us"].level.as_deref(), Some("c=20"));
        let found = Figure { level: None, ..p99.clone() };
        let at_least = |value| Figure { value, low: Some(value), high: None, ..found.clone() };
        let at_most = |value| Figure { value, low: None, high: Some(value), ..found.clone() };
        assert!(found.is_comparable(&at_least(9_000.0)) && !found.is_comparable(&at_least(9.0)));
        assert!(at_least(9_000.0).is_comparable(&found) && !at_least(9.0).is_comparable(&found));
        assert!(at_most(9.0).is_comparable(&found) && !at_most(9_000.0).is_comparable(&found));
        assert!(!at_least(40.0).is_comparable(&at_least(200.0)));
        assert_eq!(ordered(["lost", "zz", "capacity", "lost"].into_iter()), ["capacity", "lost", "zz"]);
    }
}
