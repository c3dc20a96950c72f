//! What levels, hops and components are called in the page.

use super::figure::counted;
use super::table::Tag;
use analysis::number::grouped;
use analysis::{Level, Load, Report, Usage};
use stamp::Stage;

/// A place on the axis of levels: `16`, `2,500`, `0.5`.
pub(super) fn position(position: f64) -> String {
    grouped(position, usize::from(position.fract() != 0.0))
}

/// A place on the axis of levels with its unit: `16 connections`, `2,500/s`.
pub(super) fn setting(report: &Report, at: f64) -> String {
    let what = if report.has_users() { "user" } else { "connection" };
    if report.is_by_rate() { format!("{}/s", position(at)) } else { stamp::counted(position(at), what) }
}

/// A level, as the table of levels calls it: its rate or concurrency, or else its run.
pub(super) fn short(load: &Load) -> String {
    load.position().map_or_else(|| load.run.to_string(), position)
}

/// A level: `16 connections, repetition 2`.
pub(super) fn level(report: &Report, level: &Level) -> String {
    let Load { rate, concurrency, run, repeat, .. } = &level.load;
    let setting = match (rate, concurrency) {
        (Some(rate), _) => format!("{}/s", position(*rate)),
        (None, Some(users)) if report.has_users() => counted(*users as usize, "user"),
        (None, Some(connections)) => counted(*connections as usize, "connection"),
        (None, None) => format!("run {run}"),
    };
    if is_repeated(report) { format!("{setting}, repetition {repeat}") } else { setting }
}

/// Whether any setting was measured more than once.
pub(super) fn is_repeated(report: &Report) -> bool {
    report.levels.iter().any(|level| level.load.repeat > 1)
}

/// What is to be known of a level before its figures are believed.
pub(super) fn marks(level: &Level) -> Vec<Tag> {
    let unstable = level.stability.unstable.is_some().then(|| Tag::bad("unstable"));
    let limited = level.load.generator_limited.is_some().then(|| Tag::doubt("generator-limited"));
    let interrupted = level.load.interruption().map(|told| Tag::doubt(&told));
    let staged = level.load.scenario.as_ref().is_some_and(|scenario| scenario.staged).then(|| Tag::doubt("stages"));
    let foreign = (!level.causality.is_empty()).then(|| Tag::doubt("foreign clocks"));
    unstable.into_iter().chain(limited).chain(interrupted).chain(staged).chain(foreign).collect()
}

/// The hop that ends at the stage with this index.
pub(super) fn hop(path: &[Stage], end: usize) -> String {
    match end.checked_sub(1).and_then(|begin| path.get(begin)) {
        Some(begin) => format!("{begin} → {}", path[end]),
        None => path.get(end).map_or_else(String::new, ToString::to_string),
    }
}

/// One process: `pushserver 2`, or `redis` where there is one.
pub(super) fn component(usage: &Usage) -> String {
    if usage.instance.is_empty() { usage.component.clone() } else { format!("{} {}", usage.component, usage.instance) }
}
