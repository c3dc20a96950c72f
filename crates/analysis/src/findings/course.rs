//! What is to be said of the course of a sweep: loads that a signal ended, and loads of which nothing was accepted.

use crate::{Level, Report};
use stamp::counted;
use std::collections::BTreeMap;

/// Why nothing is known of the pipeline, where none of all requests was accepted.
pub(crate) fn nothing_accepted(report: &Report) -> Option<String> {
    report.accepted_nothing().then(|| {
        let answers = answers(report.levels.iter());
        format!("No request was accepted, so that nothing was measured{answers}.")
    })
}

/// The same where it is so at some levels.
pub(crate) fn some_not_accepted(report: &Report) -> Option<String> {
    let none = || report.levels.iter().filter(|level| level.accepted_nothing());
    let count = none().count();
    (count > 0).then(|| {
        format!("At {count} of {} no request was accepted{}.", counted(report.levels.len(), "level"), answers(none()))
    })
}

/// What failed while users began and stopped, and before measuring began. It is in no figure of the load, and those whose start fails are not there.
pub(crate) fn failed_around(report: &Report) -> Option<String> {
    let scenarios = report.levels.iter().filter_map(|level| level.load.scenario.as_ref());
    let mut kinds = BTreeMap::<String, u64>::new();
    for step in scenarios.flat_map(|scenario| &scenario.around.steps) {
        for (kind, count) in &step.errors {
            *kinds.entry(format!("{}: {kind}", step.name)).or_default() += count;
        }
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    (!kinds.is_empty()).then(|| {
        let kinds = kinds.join(", ");
        format!("Beside the load, at the start or stop of users or before measuring began, failed: {kinds}. A user whose start fails takes no part in the load.")
    })
}

/// Which levels a signal ended.
pub(crate) fn interrupted(report: &Report) -> Option<String> {
    // A trial of a search that was cut short has told what it was to tell.
    let is_trial = |level: &Level| report.search.is_some() && level.load.aborted.is_some();
    let told = |level: &Level| {
        Some(format!("{} was {}", level.load.run, level.load.interruption()?)).filter(|_| !is_trial(level))
    };
    let levels: Vec<String> = report.levels.iter().filter_map(told).collect();
    (!levels.is_empty())
        .then(|| format!("The sweep did not come to its end: {}. Its figures are of that time.", levels.join(", ")))
}

/// `: 1200 × status 405`.
pub(crate) fn answers<'a>(levels: impl Iterator<Item = &'a Level>) -> String {
    let mut kinds = BTreeMap::<&str, u64>::new();
    for (kind, count) in levels.filter_map(|level| level.load.http.as_ref()).flat_map(|http| &http.errors) {
        *kinds.entry(kind).or_default() += count;
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{report_of, with_steps};

    #[test]
    fn what_was_not_accepted_is_no_zero_anywhere() {
        let mut report = report_of(&[1, 2]);
        for level in &mut report.levels {
            let http = level.load.http.as_mut().unwrap();
            http.errors.insert("status 405".to_owned(), http.requests);
            (http.accepted, http.mean_us, http.p50_us, http.p99_us, http.max_us) = (0, None, None, None, None);
            (level.books.accepted, level.books.arrived) = (0, 0);
            level.arrival = crate::Distribution::default();
        }
        report.levels[1].load.interrupted_us = Some(3_000_000);
        report.conclude(Vec::new());
        insta::assert_snapshot!(report.findings.verdict.join("\n"), @r"
        No request was accepted, so that nothing was measured: 213333 × status 405.
        The sweep did not come to its end: 20261121-101500-k3f.c02 was interrupted after 3.0 s. Its figures are of that time.
        ");
    }

    #[test]
    fn starts_that_fail_are_told() {
        let mut report = with_steps(report_of(&[1, 2]));
        let told = |report: &mut crate::Report| {
            report.conclude(Vec::new());
            report.findings.verdict.iter().filter(|one| one.contains("Beside the load")).cloned().collect::<Vec<_>>()
        };
        assert!(told(&mut report).is_empty());
        for level in &mut report.levels {
            let around = &mut level.load.scenario.as_mut().unwrap().around;
            around.steps[0].errors.insert("status 503".to_owned(), 2);
        }
        assert_eq!(told(&mut report).len(), 1);
        for level in &mut report.levels {
            level.load.http.as_mut().unwrap().accepted = 0;
            (level.books.accepted, level.books.arrived) = (0, 0);
        }
        insta::assert_snapshot!(told(&mut report).join("\n"), @"Beside the load, at the start or stop of users or before measuring began, failed: 4 × log in: status 503. A user whose start fails takes no part in the load.");
    }

    #[test]
    fn a_level_that_was_interrupted_is_told() {
        let mut report = report_of(&[1, 2]);
        report.levels[1].load.interrupted_us = Some(3_000_000);
        report.conclude(Vec::new());
        let told = report.findings.verdict.join("\n");
        assert!(told.contains("was interrupted after 3.0 s"), "{told}");
    }
}
