//! The verdict: what the sweep tells in plain words, and the few figures behind it.

use super::figure;
use super::name;
use super::table::Tag;
use analysis::number::grouped;
use analysis::{Capacity, Level, Report, Weakest};

/// What stands first.
#[derive(Debug)]
pub(super) struct Verdict {
    /// The most important sentence.
    pub(super) lead: String,
    /// The others.
    pub(super) more: Vec<String>,
    /// Figures, the most important one first.
    pub(super) figures: Vec<Figure>,
    /// What limits their worth.
    pub(super) flags: Vec<Tag>,
}

/// A large figure.
#[derive(Debug)]
pub(super) struct Figure {
    /// What it is.
    pub(super) name: &'static str,
    /// The figure.
    pub(super) value: String,
    /// Its unit; may be empty.
    pub(super) unit: &'static str,
    /// Where and how sure.
    pub(super) about: String,
}

impl Verdict {
    pub(super) fn of(report: &Report) -> Self {
        let mut sentences = report.findings.verdict.iter().cloned();
        let lead = sentences.next().unwrap_or_else(|| match report.levels.len() {
            0 => "No level has been measured yet.".to_owned(),
            _ => "The levels do not tell what the pipeline can sustain.".to_owned(),
        });
        let findings = &report.findings;
        let mut figures =
            findings.capacity.as_ref().map_or_else(Vec::new, |capacity| capacity_figures(report, capacity));
        figures.extend(findings.weakest.as_ref().map(|weakest| weakest_figure(report, weakest)));
        Self { lead, more: sentences.collect(), figures, flags: flags(report) }
    }
}

fn capacity_figures(report: &Report, capacity: &Capacity) -> Vec<Figure> {
    let at = name::setting(report, capacity.position);
    let highest = |level: &&Level| {
        level.load.position() == Some(capacity.position) && level.arrival.p99_us == Some(capacity.p99_us)
    };
    let interval = report.levels.iter().find(highest).and_then(|level| level.arrival.ci95.p99);
    let sure =
        interval.map_or_else(String::new, |interval| format!("95 % confidence {} ms, ", figure::interval(&interval)));
    let limit = figure::ms(report.p99_limit_us as f64);
    vec![
        Figure {
            name: "sustained",
            value: grouped(capacity.delivered_per_sec, 0),
            unit: "messages/s",
            about: format!("delivered at {at}"),
        },
        Figure {
            name: "p99 of arrival latency there",
            value: figure::ms(capacity.p99_us as f64),
            unit: "ms",
            about: format!("{sure}limit {limit} ms"),
        },
    ]
}

fn weakest_figure(report: &Report, weakest: &Weakest) -> Figure {
    let at = weakest.position.map_or_else(String::new, |at| format!(" at {}", name::setting(report, at)));
    let busy = match (&weakest.saturated, weakest.utilization) {
        (Some(component), Some(utilization)) => format!("; {component} is {} busy", figure::percent(utilization)),
        _ => String::new(),
    };
    Figure {
        name: "weakest hop",
        value: weakest.rival.as_ref().map_or_else(
            || format!("{} → {}", weakest.from, weakest.hop),
            |rival| format!("{} → {}, or {} → {}", weakest.from, weakest.hop, rival.from, rival.hop),
        ),
        unit: "",
        about: format!("{}{at}: {} of mean arrival latency{busy}", weakest.why(report), figure::percent(weakest.share)),
    }
}

/// What a reader must know before using the figures; the sentences tell more.
fn flags(report: &Report) -> Vec<Tag> {
    let levels = report.levels.len();
    let at_levels = |look: fn(&str) -> Tag, what: &str, holds: fn(&Level) -> bool| {
        let count = report.levels.iter().filter(|level| holds(level)).count();
        (count > 0).then(|| look(&format!("{what}: {count} of {}", figure::counted(levels, "level"))))
    };
    let capacity = report.findings.capacity.as_ref();
    let flags = [
        capacity
            .is_some_and(|capacity| capacity.doubtful)
            .then(|| Tag::doubt("doubtful: the interval of p99 reaches beyond the limit")),
        capacity.is_some_and(|capacity| !capacity.bounded).then(|| Tag::doubt("not the limit: no higher level failed")),
        at_levels(Tag::bad, "unstable", |level| level.stability.unstable.is_some()),
        at_levels(Tag::doubt, "generator-limited", |level| level.load.generator_limited.is_some()),
        at_levels(Tag::bad, "messages lost", |level| level.books.lost > 0),
        at_levels(Tag::bad, "books do not balance", |level| !level.books.is_balanced()),
        at_levels(Tag::doubt, "stamps dropped", |level| level.traces.stamps_dropped > 0),
        at_levels(Tag::doubt, "Little's law is off", |level| level.little.iter().any(|law| law.off)),
    ];
    flags.into_iter().flatten().collect()
}
