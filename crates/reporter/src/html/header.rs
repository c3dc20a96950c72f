//! The head of the page: what was measured, where and when.

use super::figure::counted;
use analysis::Report;
use analysis::number::grouped;
use stamp::mask;
use std::time::{Duration, UNIX_EPOCH};

/// A name and what is behind it.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) name: String,
    pub(super) value: String,
}

impl Fact {
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// What a reader wants to know before all else.
pub(super) fn facts(report: &Report) -> Vec<Fact> {
    let setting =
        |name: &str| report.settings.get(name).map(|value| mask(value).into_owned()).filter(|value| !value.is_empty());
    let target = match (setting("pipeline"), setting("target")) {
        (Some(pipeline), Some(target)) => Some(format!("{pipeline}, {target}")),
        (pipeline, target) => pipeline.or(target),
    };
    let stages: Vec<&str> = report.path.iter().map(stamp::Stage::as_str).collect();
    let facts = [
        ("began", Some(moment(report.started_unix_s))),
        ("pipeline", target),
        ("path", Some(stages.join(" → "))),
        ("load", Some(load(report))),
        ("sampled", report.every.map(|every| format!("1 message in {}", grouped(every as f64, 0)))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some(Fact::new(name, value?))).collect()
}

fn load(report: &Report) -> String {
    let levels = counted(report.levels.len(), "level");
    let named = |name: &str, before: &str| match report.settings.get(name) {
        Some(value) if !value.is_empty() => format!("{before}{value}"),
        _ => String::new(),
    };
    format!(
        "{levels}{}{}{}",
        named("duration", " of "),
        named("warmup", " after a warm-up of "),
        named("generator", ", ")
    )
}

/// Seconds since 1970 as a date and time, in UTC.
fn moment(unix_s: u64) -> String {
    // The year 9999 is the last that has a date.
    let time = UNIX_EPOCH + Duration::from_secs(unix_s.min(253_402_300_799));
    humantime::format_rfc3339_seconds(time).to_string().replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use analysis::fixture::report_of;

    #[test]
    fn who_when_and_what() {
        let mut report = report_of(&[1, 2]);
        report.settings.insert("pipeline".to_owned(), "remote".to_owned());
        report.settings.insert("target".to_owned(), "http://me:secret@host/x".to_owned());
        let facts: Vec<String> = facts(&report).iter().map(|fact| format!("{}: {}", fact.name, fact.value)).collect();
        insta::assert_snapshot!(facts.join("\n"), @r"
        began: 2026-11-21 10:00:00 UTC
        pipeline: remote, http://***@host/x
        path: send → apiserver → enqueue → pushserver → publish → mqttclient
        load: 2 levels of 10s
        sampled: 1 message in 100
        ");
    }

    #[test]
    fn no_time_is_too_late() {
        assert_eq!(moment(u64::MAX), "9999-12-31 23:59:59 UTC");
    }
}
