//! The few figures by which whole runs are set side by side: over the combinations of a plan, and from run to run.

use crate::{Level, Over, Report};
use serde::{Deserialize, Serialize};

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyFigure {
    /// Which: `capacity`, `arrival_p99_us`, …
    pub name: String,
    /// Its value, in its unit.
    pub value: f64,
    /// The ends of its 95 % interval, where it has one by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The upper one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

/// What is known of key figures by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFigureKind {
    /// The name.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// Its unit: `/s`, ` users`, `µs`, or none.
    pub unit: &'static str,
    /// Whether more of it is better.
    pub more_is_better: bool,
}

impl KeyFigureKind {
    /// All of them; the first that all runs have is what they are compared by.
    pub const ALL: [Self; 8] = [
        Self { name: "capacity", about: "the highest load that holds", unit: "/s", more_is_better: true },
        Self { name: "capacity_users", about: "the most users that hold", unit: " users", more_is_better: true },
        Self { name: "arrival_p99_us", about: "arrival p99", unit: "µs", more_is_better: false },
        Self { name: "http_p99_us", about: "response p99", unit: "µs", more_is_better: false },
        Self { name: "arrival_p50_us", about: "arrival p50", unit: "µs", more_is_better: false },
        Self { name: "requests_per_sec", about: "accepted requests", unit: "/s", more_is_better: true },
        Self { name: "cpu_us_per_message", about: "CPU time a message", unit: "µs", more_is_better: false },
        Self { name: "lost", about: "lost messages", unit: "", more_is_better: false },
    ];

    /// The one of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name == name)
    }

    /// A value with its unit, for people: times in ms.
    pub fn shown(&self, value: f64) -> String {
        match self.unit {
            "µs" => format!("{:.3} ms", value / 1e3),
            unit => format!("{}{unit}", crate::thousands(value)),
        }
    }
}

impl KeyFigure {
    /// Whether more may be true: a search ended before anything failed.
    pub fn is_at_least(&self) -> bool {
        let is_searched = ["capacity", "capacity_users"].contains(&self.name.as_str());
        is_searched && self.low.is_some() && self.high.is_none()
    }
}

impl Report {
    /// The figures by which the whole run is set beside others: those of a level are of the highest one, or of the highest that a search found to hold.
    pub fn key_figures(&self) -> Vec<KeyFigure> {
        let one = |name: &str, value: Option<f64>, ends: Option<(f64, Option<f64>)>| {
            let (low, high) = (ends.map(|ends| ends.0), ends.and_then(|ends| ends.1));
            Some(KeyFigure { name: name.to_owned(), value: value?, low, high })
        };
        // Where everything was carried, nobody knows how much would have been.
        let bounded = self.findings.capacity.as_ref().filter(|capacity| capacity.bounded);
        let capacity = if let Some(search) = &self.search {
            let name = if search.over == Over::Users { "capacity_users" } else { "capacity" };
            one(name, search.middle(), search.low.map(|low| (low, search.high)))
        } else {
            one("capacity", bounded.map(|found| found.delivered_per_sec), None)
        };
        let Some(level) = self.key_level() else { return capacity.into_iter().collect() };
        let arrival = &level.arrival;
        let http = level.load.http.as_ref();
        let ends = |interval: Option<crate::Interval>| {
            interval.map(|interval| (interval.low_us as f64, interval.high_us.map(|us| us as f64)))
        };
        let lost = (!level.load.untraced).then_some(level.books.lost as f64);
        let all = [
            capacity,
            one("arrival_p50_us", arrival.p50_us.map(|us| us as f64), ends(arrival.ci95.p50)),
            one("arrival_p99_us", arrival.p99_us.map(|us| us as f64), ends(arrival.ci95.p99)),
            one("http_p99_us", http.and_then(|http| http.p99_us).map(|us| us as f64), None),
            one("requests_per_sec", http.and_then(crate::Http::accepted_per_sec), None),
            one("cpu_us_per_message", level.cpu_us_per_message(), None),
            one("lost", lost, None),
        ];
        all.into_iter().flatten().collect()
    }

    /// The level whose figures stand for the run.
    pub fn key_level(&self) -> Option<&Level> {
        let most = self.search.as_ref().map(|search| search.low.unwrap_or(0.0));
        let below = |level: &&Level| most.is_none_or(|most| level.load.position().is_none_or(|at| at <= most));
        self.levels.iter().rfind(below).or(self.levels.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Found;
    use crate::fixture::report_of;

    #[test]
    fn a_run_in_few_figures() {
        let mut report = report_of(&[1, 4, 20]);
        let names = |report: &Report| report.key_figures().iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        assert!(names(&report).contains(&"arrival_p99_us".to_owned()), "{:?}", names(&report));
        let p99 = |report: &Report| report.key_figures().into_iter().find(|one| one.name == "arrival_p99_us").unwrap();
        assert!((p99(&report).value - report.levels[2].arrival.p99_us.unwrap() as f64).abs() < 1e-9);
        report.search = Some(Found { low: Some(4.0), high: Some(9.0), ..Found::default() });
        let capacity = &report.key_figures()[0];
        assert_eq!((capacity.value, capacity.low, capacity.high), (6.0, Some(4.0), Some(9.0)));
        assert!((p99(&report).value - report.levels[1].arrival.p99_us.unwrap() as f64).abs() < 1e-9);
    }

    #[test]
    fn values_are_shown_with_their_units() {
        let shown = |name, value| KeyFigureKind::of(name).unwrap().shown(value);
        assert_eq!(shown("capacity", 38_214.6), "38,215/s");
        assert_eq!(shown("arrival_p99_us", 1234.0), "1.234 ms");
        assert_eq!(shown("lost", 0.0), "0");
    }
}
