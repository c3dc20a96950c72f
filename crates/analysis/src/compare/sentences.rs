//! The most important differences in words. Pure.

use super::{Certainty, Change, Comparison, FigureChange, Measure};
use crate::number;
use stamp::counted;

/// Sentences on what differs from the first series, the most important first; for each further series, if there are several.
pub(crate) fn all(comparison: &Comparison) -> Vec<String> {
    let Some((first, others)) = comparison.series.split_first() else { return Vec::new() };
    let mut sentences = Vec::new();
    for other in others {
        let changes: Vec<&Change> = comparison.changes.iter().filter(|change| change.series == other.label).collect();
        let prefix = if others.len() > 1 { format!("{}: ", other.label) } else { String::new() };
        if changes.is_empty() {
            sentences.push(format!("{prefix}it shares no level with {}.", first.label));
            continue;
        }
        let told = [Measure::ArrivalP99Us, Measure::ArrivalP50Us, Measure::DeliveredPerSec, Measure::CpuUsPerMessage];
        let all = told.into_iter().filter_map(|measure| about(measure, &changes, comparison.by_rate));
        sentences.extend(all.chain(lost(comparison, &other.label)).map(|sentence| format!("{prefix}{sentence}")));
    }
    let unsure =
        |change: &FigureChange| !change.measure.is_percentile() && matches!(change.certainty, Certainty::NoInterval(_));
    if comparison.changes.iter().flat_map(|change| &change.figures).any(unsure) {
        sentences.push(
            "How sure a rate is shows only where each level was measured three times or more (--repeat 3).".to_owned(),
        );
    }
    sentences
}

/// On one figure over all levels; nothing where no level has an interval.
fn about(measure: Measure, changes: &[&Change], by_rate: bool) -> Option<String> {
    let name = name(measure);
    let sure: Vec<(f64, &FigureChange)> = changes
        .iter()
        .filter_map(|change| Some((change.position, change.of(measure)?)))
        .filter(|(_, change)| change.interval().is_some())
        .collect();
    let size = |change: &FigureChange| change.relative.map_or(0.0, |relative| relative.ln_1p().abs());
    let apart = || sure.iter().filter(|(_, change)| change.told_apart);
    let levels = counted(sure.len(), "level");
    let Some((position, most)) = apart().max_by(|(_, one), (_, other)| size(one).total_cmp(&size(other))) else {
        return (!sure.is_empty()).then(|| format!("{name}: not told apart from chance at any of {levels}."));
    };
    let lower = apart().filter(|(_, change)| change.relative.is_some_and(|relative| relative < 0.0)).count();
    let higher = apart().count() - lower;
    let unit = if by_rate {
        "requests/s"
    } else if *position < 1.5 {
        "connection"
    } else {
        "connections"
    };
    let at = number::grouped(*position, 0);
    Some(format!(
        "{name} at {at} {unit}: {} → {}, {}; lower at {lower} of {levels}, higher at {higher}.",
        value(measure, most.from, false),
        value(measure, most.to, true),
        percent(most),
    ))
}

fn lost(comparison: &Comparison, label: &str) -> Option<String> {
    let total = |label: &str| {
        let series = comparison.series.iter().find(|series| series.label == label)?;
        Some(series.points.iter().fold(0i64, |sum, point| sum.saturating_add(point.lost)))
    };
    let (from, to) = (total(&comparison.series.first()?.label)?, total(label)?);
    (from != 0 || to != 0).then(|| format!("Lost messages, in all: {from} → {to}."))
}

/// What a figure is called in a sentence.
pub(super) fn name(measure: Measure) -> &'static str {
    match measure {
        Measure::AcceptedPerSec => "accepted messages a second",
        Measure::DeliveredPerSec => "delivered messages a second",
        Measure::ArrivalP50Us => "p50 of arrival latency",
        Measure::ArrivalP90Us => "p90 of arrival latency",
        Measure::ArrivalP99Us => "p99 of arrival latency",
        Measure::CpuUsPerMessage => "CPU time a message",
    }
}

/// A value in its unit.
fn value(measure: Measure, value: f64, with_unit: bool) -> String {
    let (number, unit) = match measure {
        Measure::AcceptedPerSec | Measure::DeliveredPerSec => (number::grouped(value, 0), "/s"),
        Measure::ArrivalP50Us | Measure::ArrivalP90Us | Measure::ArrivalP99Us => (number::measured_ms(value), " ms"),
        Measure::CpuUsPerMessage => (number::grouped(value, 1), " µs"),
    };
    if with_unit { number + unit } else { number }
}

/// `-37 % [-45, -28]`: a relative change, and its interval where it has one.
pub fn percent(change: &FigureChange) -> String {
    let Some(relative) = change.relative else { return "n/a".to_owned() };
    let ends = change.interval().map(|ends| [ends.low, ends.high]);
    // One decimal where whole numbers would say too little.
    let largest = ends.iter().flatten().fold(relative.abs(), |most, end| most.max(end.abs()));
    let decimals = usize::from(largest < 0.1);
    let part = |part: f64| {
        let text = format!("{:+.decimals$}", part * 100.0);
        if text.trim_start_matches(['+', '-', '0', '.']).is_empty() { text[1..].to_owned() } else { text }
    };
    match ends {
        Some([low, high]) => format!("{} % [{}, {}]", part(relative), part(low), part(high)),
        None => format!("{} %", part(relative)),
    }
}
