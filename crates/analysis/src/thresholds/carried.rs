//! Whether a level carried its load: what a search decides by. Pure.

use super::grammar::{Operator, Threshold};
use super::measure::{Metric, OfPart, Span};
use crate::findings::answers;
use crate::{Level, TrialVerdict};
use stamp::counted;
use std::iter;

/// What a level says of its load.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    /// In a word.
    pub verdict: TrialVerdict,
    /// How likely it is that everything held, 0 to 1: by the intervals of what was measured, as far as it has any. 0.5 where nothing tells.
    pub chance: f64,
    /// What did not hold, or is in doubt.
    pub why: Option<String>,
}

/// More likely than this, or less than the rest, is no doubt: the limit lies outside of the 95 % interval.
const SURE: f64 = 0.975;

/// Where so much of the asked rate was sent, the load was made: the generator was late, and that is counted in response times.
const MADE: f64 = 0.99;

/// The generator's thread has nothing to spare.
const BUSY: f64 = 0.95;

/// A service time that is so many times that of the lightest load tells that the server, and not the generator, has reached its limit.
const GREW: f64 = 3.0;

impl Carried {
    /// Whether a level carried its load: it kept up, lost nothing, and what must hold does. Where the generator made another load than it was asked for, that
    /// is no verdict, unless messages fail behind the API, or the server has become slow: `light_service_us` is its median service time under the
    /// lightest load.
    pub fn of(level: &Level, hold: &[Threshold], light_service_us: Option<u64>) -> Self {
        let sure = |chance, why: &str| Some((chance, why.to_owned(), true));
        let (books, unstable) = (&level.books, &level.stability.unstable);
        let lost = books.lost > 0
            && !hold.iter().any(
                |one| matches!(one.metric, Metric::Number(number) | Metric::Share(number) if number.name == "lost"),
            );
        let cut_short = level.load.cut_short();
        let refused = level.load.http.as_ref().is_some_and(|http| http.requests > 0) && level.accepted_nothing();
        let kept_up = [
            cut_short.and_then(|why| sure(0.0, why)),
            if refused { sure(0.0, &format!("no request was accepted{}", answers(iter::once(level)))) } else { None },
            unstable.as_ref().and_then(|why| sure(0.0, &format!("it did not keep up: {why}"))),
            if lost { sure(0.0, &format!("{} got lost", counted(books.lost, "message"))) } else { None },
            (books.in_flight + books.late > 0)
                .then(|| {
                    sure(
                        0.0,
                        &format!(
                            "{} had not arrived by the end of the drain",
                            counted(books.in_flight + books.late, "message")
                        ),
                    )
                })
                .flatten(),
        ];
        let judged = hold.iter().map(|threshold| threshold.chance(level));
        let worst = kept_up.into_iter().flatten().chain(judged).min_by(|one, other| one.0.total_cmp(&other.0));
        let (chance, why, is_behind_the_api) = worst.unwrap_or((1.0, String::new(), true));
        let not_made = level.load.generator_limited.as_ref().and_then(|limited| {
            let http = level.load.http.as_ref()?;
            let light = light_service_us.unwrap_or(u64::MAX).max(1);
            let slow = http.service_p50_us.filter(|now| *now as f64 > GREW * light as f64);
            let is_busy = http.generator_cpu_share.is_some_and(|share| share > BUSY);
            let made = level.load.sent_share().is_none_or(|share| share >= MADE);
            let unclear = Self { verdict: TrialVerdict::GeneratorLimited, chance, why: Some(limited.clone()) };
            match (chance < 0.5, made, slow) {
                // What fails at less load than was asked for fails at more, unless the generator itself was slow.
                (true, ..) if is_behind_the_api => None,
                (true, _, Some(_)) | (false, false, Some(_)) if is_busy => Some(unclear),
                (true, _, Some(_)) | (false, true, _) => None,
                (false, false, Some(now_us)) => Some(Self {
                    verdict: TrialVerdict::Not,
                    chance: 0.0,
                    why: Some(format!(
                        "the API took {:.0} of {:.0} requests/s: half of them took {:.1} ms or more to be answered, {:.1} ms under a light load",
                        http.requests_per_sec(),
                        level.load.rate.unwrap_or(0.0),
                        now_us as f64 / 1e3,
                        light as f64 / 1e3
                    )),
                }),
                _ => Some(unclear),
            }
        });
        if let Some(not_made) = not_made {
            return not_made;
        }
        let verdict = match chance {
            chance if chance >= SURE => TrialVerdict::Carried,
            chance if chance <= 1.0 - SURE => TrialVerdict::Not,
            _ => TrialVerdict::Doubtful,
        };
        Self { verdict, chance, why: (verdict != TrialVerdict::Carried).then_some(why) }
    }
}

impl Threshold {
    /// How likely it is that it holds at a level, what was measured, and whether that is of messages behind the API.
    fn chance(&self, level: &Level) -> (f64, String, bool) {
        let is_behind = !matches!(&self.metric, Metric::Latency(Span::Http | Span::User, _))
            && !matches!(&self.metric, Metric::Part(part) if !matches!(part.of, OfPart::Arrival(_)))
            && !matches!(&self.metric, Metric::Number(number) | Metric::Share(number) if ["errors", "rps"].contains(&number.name));
        let value = match self.metric.at(level) {
            Ok(value) => value,
            // Where messages were sampled and most had not arrived, that is an answer; where there are too few, it is none.
            Err(why) => {
                let chance = if self.metric.lacks_samples(level) { 0.5 } else { 0.0 };
                return (chance, format!("{self} was not measured: {why}"), is_behind);
            }
        };
        let told = if self.metric.is_time() { format!("{:.1} ms", value / 1e3) } else { format!("{value:.3}") };
        let told = told.strip_suffix(".000").map_or(told.clone(), str::to_owned);
        let told = if self.to_string().contains('%') { told + " %" } else { told };
        let why = format!("{} was {told} ({self})", self.metric);
        let ends =
            self.metric.interval_at(level).filter(|_| matches!(self.operator, Operator::Below | Operator::AtMost));
        let chance = match ends {
            Some((low, high)) if value > 0.0 && low > 0.0 && self.limit > 0.0 => below(value, low, high, self.limit),
            _ => f64::from(u8::from(self.operator.holds(value, self.limit))),
        };
        (chance, why, is_behind)
    }
}

/// How likely a figure lies below a limit, by its 95 % interval on the scale of logarithms; its upper end may be open.
fn below(value: f64, low: f64, high: Option<f64>, limit: f64) -> f64 {
    let distance = (limit / value).ln();
    let reach =
        if distance >= 0.0 { high.map_or(f64::INFINITY, |high| (high / value).ln()) } else { (value / low).ln() };
    if reach <= 0.0 {
        return f64::from(u8::from(distance >= 0.0));
    }
    // The logistic distribution stands for the normal one: at the end of the interval both are 0.975. An open end tells next to nothing.
    let reaches = if reach.is_finite() { distance / reach } else { 0.05 };
    1.0 / (1.0 + (-39f64.ln() * reaches).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interval;
    use crate::fixture::report_of;
    use std::collections::BTreeMap;

    fn carried(level: &Level, hold: &[&str]) -> String {
        let hold: Vec<Threshold> = hold.iter().map(|text| text.parse().unwrap()).collect();
        let carried = Carried::of(level, &hold, Some(100));
        format!("{} {:.2} {}", carried.verdict.word(), carried.chance, carried.why.unwrap_or_default())
    }

    #[test]
    fn a_limit_within_the_interval_is_a_doubt() {
        let mut level = report_of(&[1]).levels.remove(0);
        level.arrival.p99_us = Some(40_000);
        level.arrival.ci95.p99 = Some(Interval { low_us: 35_000, high_us: Some(46_000), effective_count: 1000 });
        insta::assert_snapshot!(carried(&level, &["arrival.p99<50ms"]), @"carried 1.00");
        insta::assert_snapshot!(carried(&level, &["arrival.p99<46ms"]), @"carried 0.98");
        insta::assert_snapshot!(carried(&level, &["arrival.p99<41ms"]), @"doubtful 0.66 arrival.p99 was 40.0 ms (arrival.p99<41ms)");
        insta::assert_snapshot!(carried(&level, &["arrival.p99<36ms"]), @"doubtful 0.05 arrival.p99 was 40.0 ms (arrival.p99<36ms)");
        insta::assert_snapshot!(carried(&level, &["arrival.p99<30ms"]), @"not carried 0.00 arrival.p99 was 40.0 ms (arrival.p99<30ms)");
        level.arrival.ci95.p99 = Some(Interval { low_us: 35_000, high_us: None, effective_count: 1000 });
        insta::assert_snapshot!(carried(&level, &["arrival.p99<50ms"]), @"doubtful 0.55 arrival.p99 was 40.0 ms (arrival.p99<50ms)");
        level.arrival.p99_us = None;
        level.arrival.count = 40;
        level.arrival.censored = 0;
        insta::assert_snapshot!(carried(&level, &["arrival.p99<50ms"]), @"doubtful 0.50 arrival.p99<50ms was not measured: p99 takes 368 sampled messages, and there are 40: load for longer, or sample more (--every)");
    }

    #[test]
    fn what_does_not_keep_up_or_loses_is_not_carried() {
        let mut level = report_of(&[1]).levels.remove(0);
        level.books.lost = 3;
        insta::assert_snapshot!(carried(&level, &["arrival.p50<1s"]), @"not carried 0.00 3 messages got lost");
        insta::assert_snapshot!(carried(&level, &["lost<5"]), @"carried 1.00 ");
        insta::assert_snapshot!(carried(&level, &["lost==0"]), @"not carried 0.00 lost was 3 (lost==0)");
        insta::assert_snapshot!(carried(&level, &["lost<0.00001%"]), @"not carried 0.00 lost was 0.004 % (lost<0.00001%)");
        level.stability.unstable = Some("its queue grew".to_owned());
        insta::assert_snapshot!(carried(&level, &["lost<5"]), @"not carried 0.00 it did not keep up: its queue grew");
    }

    #[test]
    fn what_accepts_nothing_is_not_carried_whoever_is_late() {
        let mut level = report_of(&[1]).levels.remove(0);
        (level.load.generator_limited, level.load.rate) = (Some("requests were late".to_owned()), Some(1e9));
        (level.books.accepted, level.books.arrived) = (0, 0);
        let http = level.load.http.as_mut().unwrap();
        (http.requests, http.accepted, http.errors) = (100, 0, BTreeMap::from([("status 500".to_owned(), 100)]));
        insta::assert_snapshot!(carried(&level, &["errors<1%"]), @"not carried 0.00 no request was accepted: 100 × status 500");
    }

    #[test]
    fn what_the_generator_did_not_make_is_no_verdict() {
        let mut level = report_of(&[1]).levels.remove(0);
        level.load.generator_limited = Some("requests were late".to_owned());
        insta::assert_snapshot!(carried(&level, &["http.p99<1s"]), @"carried 1.00 ");
        level.load.rate = Some(1e9);
        insta::assert_snapshot!(carried(&level, &["http.p99<1s"]), @"generator-limited 1.00 requests were late");
        // Slow answers may be the generator's own, unless service takes longer than under a light load.
        insta::assert_snapshot!(carried(&level, &["http.p99<1ns"]), @"generator-limited 0.00 requests were late");
        level.load.http.as_mut().unwrap().service_p50_us = Some(500);
        insta::assert_snapshot!(carried(&level, &["http.p99<1ns"]), @"not carried 0.00 http.p99 was 0.1 ms (http.p99<1ns)");
        // What fails at less load than was asked for fails at more.
        level.load.http.as_mut().unwrap().service_p50_us = Some(100);
        insta::assert_snapshot!(carried(&level, &["arrival.p99<1ns"]), @"not carried 0.00 arrival.p99 was 0.6 ms (arrival.p99<1ns)");
    }
}
