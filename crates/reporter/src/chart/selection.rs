//! Which levels a picture shows that has no room for all of them. Pure.

use super::levels::{self, Setting};
use analysis::Report;

/// So many at most.
const MOST: usize = 4;

/// A level that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selected {
    /// Its index in the report.
    pub(super) index: usize,
    /// What it is called, and why it is shown.
    pub(super) heading: String,
}

/// The levels with a timeline: the lowest and the highest, the capacity or else the knee of arrival latency, the first unstable one, and one
/// in the middle; all, where they are few. Of repetitions the first one stands for all.
pub(super) fn selected(report: &Report) -> Vec<Selected> {
    let has_timeline = |index: &usize| !report.levels[*index].timeline.slices.is_empty();
    let first = |setting: &Setting| Some((setting.position(), setting.indices().find(has_timeline)?));
    let all: Vec<(Option<f64>, usize)> = Setting::all(report).iter().filter_map(first).collect();
    let at = |position: f64| all.iter().find(|(other, _)| *other == Some(position)).map(|(_, index)| *index);
    let findings = &report.findings;
    let capacity = findings.capacity.as_ref().and_then(|capacity| at(capacity.position));
    let knee = findings.knees.iter().find(|knee| knee.of == "arrival_p99").and_then(|knee| at(knee.position));
    let unstable = || {
        (0..report.levels.len()).filter(has_timeline).find(|&index| report.levels[index].stability.unstable.is_some())
    };
    let index = |(_, index): &(Option<f64>, usize)| *index;
    let reasons = [
        (all.first().map(index), ""),
        (all.last().map(index), ""),
        (capacity, "capacity"),
        (knee.filter(|_| capacity.is_none()), "knee of arrival p99"),
        (unstable(), "the first unstable level"),
        (all.get(all.len() / 2).map(index), ""),
    ];
    let few = if all.len() <= MOST { &all[..] } else { &[] }.iter().map(|(_, index)| (Some(*index), ""));
    let mut chosen: Vec<(usize, Vec<&str>)> = Vec::new();
    for (index, reason) in reasons.into_iter().chain(few).filter_map(|(index, reason)| Some((index?, reason))) {
        let known = chosen.iter().position(|(other, _)| *other == index);
        let known = known.or_else(|| {
            let is_room = chosen.len() < MOST;
            is_room.then(|| chosen.push((index, Vec::new())))?;
            Some(chosen.len() - 1)
        });
        if let Some(known) = known.filter(|_| !reason.is_empty()) {
            chosen[known].1.push(reason);
        }
    }
    chosen.sort();
    let heading = |(index, reasons): (usize, Vec<&str>)| {
        let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
        Selected { index, heading: levels::name(report, index) + &why }
    };
    chosen.into_iter().map(heading).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::tests::{repeated, report_of};

    fn headings(report: &Report) -> Vec<String> {
        selected(report).into_iter().map(|selected| selected.heading).collect()
    }

    #[test]
    fn the_levels_that_tell_most_are_shown() {
        let mut report = report_of(&(1..=20).collect::<Vec<_>>());
        report.findings.knees.clear();
        report.findings.capacity = None;
        assert_eq!(headings(&report), ["1 connection", "11 connections", "20 connections"]);
        report.levels[16..].iter_mut().for_each(|level| level.stability.unstable = Some("it grew".to_owned()));
        let unstable = ["1 connection", "11 connections", "17 connections: the first unstable level", "20 connections"];
        assert_eq!(headings(&report), unstable);
        report.conclude(Vec::new());
        let capacity = ["1 connection", "16 connections: capacity", unstable[2], "20 connections"];
        assert_eq!(headings(&report), capacity);
    }

    #[test]
    fn few_levels_are_all_shown_and_one_of_each_setting() {
        let mut report = repeated(&[1, 2, 2, 3, 4]);
        report.findings.capacity = None;
        assert_eq!(
            headings(&report),
            ["1 connection", "2 connections, repetition 1", "3 connections", "4 connections"]
        );
        report.levels[1].timeline.slices.clear();
        report.levels[3].timeline.slices.clear();
        assert_eq!(headings(&report), ["1 connection", "2 connections, repetition 2", "4 connections"]);
        assert_eq!(selected(&report_of(&[])), []);
    }
}
