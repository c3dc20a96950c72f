//! The findings in plain words.

use super::{Capacity, Findings, Weakest, course, foreign};
use crate::number::ms;
use crate::{ForeignLatency, Level, Report};
use stamp::counted;

/// Sentences that a reader needs, the most important one first.
pub(crate) fn sentences(report: &Report, findings: &Findings) -> Vec<String> {
    if report.levels.is_empty() {
        return vec!["No level has been measured yet.".to_owned()];
    }
    if let Some(why) = course::nothing_accepted(report) {
        let around = course::failed_around(report);
        return std::iter::once(why).chain(around).chain(course::interrupted(report)).collect();
    }
    // A search says itself how much is sustained, and what the generator did not make.
    let found = report.search.as_ref().map(crate::Found::sentence);
    let mut sentences = vec![found.unwrap_or_else(|| sustained(report, findings.capacity.as_ref()))];
    sentences.extend(foreign::between_clocks(report));
    sentences.extend(course::interrupted(report));
    sentences.extend(course::some_not_accepted(report));
    sentences.extend(course::failed_around(report));
    sentences.extend(withheld(findings));
    sentences.extend(loops(report));
    sentences.extend(stages(report));
    sentences.extend(findings.weakest.as_ref().map(|weakest| gives_way(report, weakest)));
    sentences.extend(tail(report, findings));
    sentences.extend(unstable(report));
    sentences.extend(losses(report));
    if report.search.is_none() {
        sentences.extend(generator(report));
    }
    sentences.extend(lost_workers(report));
    sentences.extend(doubts(report));
    sentences.extend(clocks(report));
    sentences.extend(foreign::of_one_clock(report));
    sentences
}

/// A share of what was asked that is worth a word.
const TOLD_WITHHELD: f64 = 0.05;

/// The level at which users withheld most.
fn withheld(findings: &Findings) -> Option<String> {
    let told = findings.withheld.iter().flatten();
    let told = told.filter(|withheld| withheld.withheld_per_sec > TOLD_WITHHELD * withheld.asked_per_sec);
    let most = told.max_by(|one, other| one.withheld_per_sec.total_cmp(&other.withheld_per_sec))?;
    let (the, their, they) = if most.users == 1 { ("user", "its", "it") } else { ("users", "their", "they") };
    let users = format!("{}, the {the}", counted(thousands(most.users.into()), "user"));
    Some(format!(
        "At {users} waited {} of {their} time: that asked for {} rounds/s less than the {} {they} would have begun.",
        per_cent(most.waited_share),
        rate(most.withheld_per_sec),
        rate(most.asked_per_sec)
    ))
}

/// A sequence is closed by nature: its second step needs the answer to the first.
fn loops(report: &Report) -> Option<String> {
    let scenario = report.levels.iter().find(|level| level.load.rate.is_some())?.load.scenario.as_ref()?;
    (scenario.steps.len() > 1).then(|| {
        "The loop is open in rounds, and closed within: each step is due when the one before has been answered."
            .to_owned()
    })
}

/// Percentiles over a load that changes mix what belongs to different loads.
fn stages(report: &Report) -> Option<String> {
    let is_staged = |level: &Level| level.load.scenario.as_ref().is_some_and(|scenario| scenario.staged);
    report.levels.iter().any(is_staged).then(|| {
        "The number of users changed while it was measured: read its latencies over time, as its percentiles are of no one load, and it has no capacity.".to_owned()
    })
}

/// What an API alone did: nothing is known of messages.
fn answered(report: &Report) -> String {
    let best = report.levels.iter().filter(|level| level.load.http.is_some());
    let best = best.max_by(|one, other| {
        let rate = |level: &Level| level.load.http.as_ref().map_or(0.0, crate::Http::requests_per_sec);
        rate(one).total_cmp(&rate(other))
    });
    let Some((level, http)) = best.and_then(|level| Some((level, level.load.http.as_ref()?))) else {
        return "Nothing is traced, and no load was made.".to_owned();
    };
    let at = level.load.position().map_or_else(|| level.load.run.to_string(), |position| level_name(report, position));
    let p99 = http.p99_us.map_or_else(|| "n/a".to_owned(), |us| ms(us as f64));
    format!(
        "The API answered {} requests/s (at {at}): p99 of response times is {p99}, and {} of {} failed. Nothing is traced: the plan names neither a pipeline nor a log store.",
        rate(http.requests_per_sec()),
        thousands(http.failed() as f64),
        counted(thousands(http.requests as f64), "request")
    )
}

fn rate(per_sec: f64) -> String {
    crate::number::grouped(per_sec, usize::from(per_sec < 100.0))
}

fn sustained(report: &Report, capacity: Option<&Capacity>) -> String {
    if report.is_untraced() {
        return answered(report);
    }
    let is_staged = |level: &Level| level.load.scenario.as_ref().is_some_and(|scenario| scenario.staged);
    if report.levels.iter().all(is_staged) {
        let arrived: u64 = report.levels.iter().map(|level| level.books.arrived).sum();
        return format!("{} arrived of a load that changed in stages.", counted(thousands(arrived as f64), "message"));
    }
    let limit = ms(report.p99_limit_us as f64);
    // A load of another program stands on no axis: it was carried, or not.
    let is_other = |level: &&Level| level.load.position().is_none();
    let other = report.levels.iter().filter(is_other).find(|level| level.is_within(report.p99_limit_us) == Some(true));
    match (capacity, other) {
        (None, Some(level)) => {
            let rate = level.delivered_per_sec().map_or_else(String::new, thousands);
            let p99 = level.arrival.p99_us.map_or_else(String::new, |us| ms(level.at_most_us(us) as f64));
            format!(
                "The pipeline carried this load, which another program made: {rate} messages/s arrived, p99 of arrival latency is {p99} against a limit of {limit}, nothing is lost, and no queue grows."
            )
        }
        (None, None) if report.levels.iter().all(|level| level.load.has_lost_workers()) => {
            "Workers were lost at every level: a part of the load was not sent, and nothing here measures what the pipeline sustains.".to_owned()
        }
        (None, None)
            if report.levels.iter().all(|level| {
                level.bound_of(&ForeignLatency::Arrival).is_some() && level.is_within(report.p99_limit_us).is_none()
            }) =>
        {
            format!(
                "Foreign clocks tell arrival latency: whether its p99 is within {limit} cannot be told from what bounds it."
            )
        }
        (None, None) if report.levels.iter().all(|level| level.is_within(report.p99_limit_us).is_none()) => {
            format!(
                "No level has enough sampled messages for a p99, which is held against {limit}: load for longer, or sample more (--every)."
            )
        }
        (None, None) => format!(
            "The pipeline carried none of these loads with p99 of arrival latency within {limit}, nothing lost and no growing queue."
        ),
        (Some(capacity), _) => {
            let at = level_name(report, capacity.position);
            let rate = thousands(capacity.delivered_per_sec);
            let beyond = if capacity.bounded {
                ""
            } else {
                " No higher level was measured that it did not carry: it may do more."
            };
            let lower = |level: &&Level| level.load.position().is_some_and(|position| position < capacity.position);
            let failed = |level: &&Level| level.is_within(report.p99_limit_us) == Some(false);
            let below = match report.levels.iter().filter(lower).filter(failed).count() {
                0 => String::new(),
                count => format!(
                    " Of the lower levels {count} were not carried, though: repeat the sweep (--repeat) to see what is chance."
                ),
            };
            let there = report.levels.iter().filter(|level| level.load.position() == Some(capacity.position));
            let open = there.filter_map(|level| level.arrival.ci95.p99).any(|interval| interval.high_us.is_none());
            let doubt = match (open, capacity.doubtful) {
                (true, _) => {
                    " So few messages do not bound that p99 from above: load for longer, or sample more (--every)."
                }
                (false, true) => " The confidence interval of that p99 reaches beyond the limit.",
                (false, false) => "",
            };
            format!(
                "The pipeline sustains {rate} messages/s (at {at}): p99 of arrival latency is {} against a limit of {limit}, nothing is lost, and no queue grows.{below}{beyond}{doubt}",
                ms(capacity.p99_us as f64)
            )
        }
    }
}

fn gives_way(report: &Report, weakest: &Weakest) -> String {
    let at = weakest.position.map_or_else(String::new, |position| format!(" at {}", level_name(report, position)));
    let hop = format!("{} → {}", weakest.from, weakest.hop);
    let share = per_cent(weakest.share);
    let cause = match (&weakest.saturated, weakest.utilization) {
        (Some(component), Some(utilization)) if component == "host" => {
            format!(" All processors of the driver's host are busy by then ({}).", per_cent(utilization))
        }
        (Some(component), Some(utilization)) => format!(
            " {component} is the busiest part by then: {} of the processor that it can use.",
            per_cent(utilization)
        ),
        _ => String::new(),
    };
    if weakest.overloaded {
        format!(
            "{} gives way first: messages pile up on the hop {hop}{at}, where they spend {share} of their arrival latency.{cause}",
            weakest.hop
        )
    } else {
        let stable = report.levels.iter().all(|level| level.stability.unstable.is_none());
        let nothing = if stable { "Nothing piles up for as long as the load lasts. " } else { "" };
        let (one, two) = if weakest.grows(report) {
            ("whose time grows most", "whose time grows most")
        } else {
            ("that takes longest", "that take longest")
        };
        let grows = match &weakest.rival {
            None => format!("The hop {one} is {hop}: {share} of the arrival latency{at}."),
            Some(rival) => format!(
                "The hops {two} are {hop} and {} → {}, which noise does not tell apart: {share} and {} of the arrival latency{at}.",
                rival.from,
                rival.hop,
                per_cent(rival.share)
            ),
        };
        format!("{nothing}{grows}{cause}")
    }
}

fn tail(report: &Report, findings: &Findings) -> Option<String> {
    let position = findings.capacity.as_ref().map(|capacity| capacity.position);
    let level = report
        .levels
        .iter()
        .find(|level| position.is_some() && level.load.position() == position)
        .or(report.levels.last())?;
    let tail = level.tail.as_ref()?;
    let worst = tail.hops.iter().max_by(|one, other| one.share.total_cmp(&other.share))?;
    let from = report
        .path
        .iter()
        .position(|stage| *stage == worst.stage)
        .and_then(|index| report.path.get(index.checked_sub(1)?))?;
    let at = level.load.position().map_or_else(|| level.load.run.to_string(), |position| level_name(report, position));
    Some(format!(
        "Among the slowest {} of messages at {at} (from {} on), {} of the time is the hop {from} → {}; among all messages it is {}.",
        per_cent(tail.slowest),
        ms(tail.from_us as f64),
        per_cent(worst.share),
        worst.stage,
        per_cent(worst.share_of_all)
    ))
}

fn unstable(report: &Report) -> Option<String> {
    let first = report.levels.iter().find(|level| level.stability.unstable.is_some())?;
    let count = report.levels.iter().filter(|level| level.stability.unstable.is_some()).count();
    let at = first.load.position().map_or_else(|| first.load.run.to_string(), |position| level_name(report, position));
    let why = first.stability.unstable.as_deref().unwrap_or_default();
    Some(format!(
        "Unstable: {count} of {}, the first at {at}: {why}. Their percentiles grow with the duration of the load and tell only of this one.",
        counted(report.levels.len(), "level")
    ))
}

fn losses(report: &Report) -> Option<String> {
    let lost: i64 = report.levels.iter().map(|level| level.books.lost.max(0)).sum();
    if lost == 0 {
        return None;
    }
    let stages = report.path.iter().map(|stage| {
        let at = |level: &Level| {
            level.books.lost_by_hop.iter().filter(|(hop, _)| hop == stage).map(|(_, lost)| (*lost).max(0)).sum::<i64>()
        };
        (stage, report.levels.iter().map(at).sum::<i64>())
    });
    let by_hop: Vec<String> =
        stages.filter(|(_, lost)| *lost > 0).map(|(stage, lost)| format!("{lost} on the way to {stage}")).collect();
    Some(format!("{} never arrived: {}.", counted(lost, "accepted message"), by_hop.join(", ")))
}

fn generator(report: &Report) -> Option<String> {
    let is_limited = |level: &&Level| level.load.generator_limited.is_some() && !level.load.has_lost_workers();
    let limited = report.levels.iter().filter(is_limited).count();
    (limited > 0).then(|| format!("Levels at which the load generator, not the pipeline, could do no more: {limited}. They tell nothing about the pipeline's limit."))
}

fn lost_workers(report: &Report) -> Option<String> {
    let lost = report.levels.iter().filter(|level| level.load.has_lost_workers()).count();
    (lost > 0).then(|| format!("Levels at which workers were lost: {lost}. A part of their load was not sent: they tell nothing about what the pipeline sustains."))
}

fn doubts(report: &Report) -> Option<String> {
    let off =
        report.levels.iter().filter(|level| level.little.iter().any(|law| law.off && law.scope == "pipeline")).count();
    let beyond = report.levels.iter().any(|level| level.traces.beyond_error > 0);
    let dropped: u64 = report.levels.iter().map(|level| level.traces.stamps_dropped).sum();
    let mut doubts = Vec::new();
    if off > 0 {
        doubts.push(format!(
            "messages in flight, rate and latency do not agree at some levels, {off} of them (Little's law)"
        ));
    }
    if beyond {
        doubts.push("some latencies are below zero by more than the clocks' error".to_owned());
    }
    if dropped > 0 {
        doubts.push(format!("stamps dropped: {dropped}"));
    }
    (!doubts.is_empty()).then(|| format!("To be doubted: {}.", doubts.join("; ")))
}

/// The proof of the clocks: no stage can come before the one ahead of it.
fn clocks(report: &Report) -> Option<String> {
    let sum = |of: fn(&Level) -> u64| report.levels.iter().map(of).sum::<u64>();
    let of = sum(|level| level.traces.of_known_error);
    (of > 0).then(|| {
        let beyond = sum(|level| level.traces.beyond_error);
        format!(
            "Latencies below zero beyond the clocks' error: {} of {}.",
            thousands(beyond as f64),
            thousands(of as f64)
        )
    })
}

/// `20 connections`, `5,000 requests/s`, `4 users, of whom 2 ran`.
fn level_name(report: &Report, position: f64) -> String {
    if report.is_by_rate() {
        return if report.has_users() {
            format!("{} rounds/s", rate(position))
        } else {
            counted(thousands(position), "request") + "/s"
        };
    }
    let asked = counted(thousands(position), if report.has_users() { "user" } else { "connection" });
    let there = report.levels.iter().filter(|level| level.load.position() == Some(position));
    let ran = there.filter_map(|level| Some(level.load.scenario.as_ref()?.users)).min();
    match ran.filter(|&ran| f64::from(ran) < position) {
        Some(ran) => format!("{asked}, of whom {} ran", thousands(ran.into())),
        None => asked,
    }
}

fn thousands(value: f64) -> String {
    crate::number::grouped(value, 0)
}

fn per_cent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}
