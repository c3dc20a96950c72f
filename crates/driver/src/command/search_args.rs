//! Options of a search for the highest load that holds.

use super::value::parse_duration;
use analysis::{Over, Threshold};
use clap::Args;
use experiment::{Plan, SearchPlan};
use stamp::{SampleEvery, UsageError, ensure_usage};
use std::time::Duration;

/// Trials at the most, unless it is said.
const MOST_TRIALS: u32 = 40;

/// How long a trial loads, unless it is said.
const TRIAL: Duration = Duration::from_secs(10);

/// 1 message in so many is stamped where nothing else is said: of a private pipeline that is searched more than usual. A trial then has enough of them,
/// and they cost next to nothing.
pub(super) fn every(is_private_search: bool) -> SampleEvery {
    if is_private_search { SampleEvery::new(10) } else { None }.unwrap_or_default()
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SearchArgs {
    /// What must hold, such as 'arrival.p99<50ms' or 'lost==0'; may be repeated
    #[arg(long, value_name = "THRESHOLD")]
    pub(super) hold: Vec<Threshold>,

    /// What is raised: rate (an open loop) or users (a closed one) [default: rate]
    #[arg(long, value_name = "LOAD", value_parser = parse_over)]
    pub(super) over: Option<Over>,

    /// The lowest load, which is tried first [default: 1000/s, or 1 user]
    #[arg(long, value_name = "LOAD", value_parser = parse_load)]
    pub(super) from: Option<f64>,

    /// The highest load that is tried [default: 100000/s, or 1000 users]
    #[arg(long, value_name = "LOAD", value_parser = parse_load)]
    pub(super) to: Option<f64>,

    /// How narrow the answer's interval is to be, as a part of its lower end [default: 3%]
    #[arg(long, value_name = "PART", value_parser = parse_share)]
    pub(super) within: Option<f64>,

    /// How long a trial loads at the most; the first ones are shorter [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(super) trial: Option<Duration>,

    /// Trials at the most: then the answer is as wide as it is [default: 40]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub(super) most_trials: Option<u32>,
}

impl SearchArgs {
    /// Sets these options over a search of a plan file.
    pub(super) fn over(&self, search: Option<plan::Search>) -> Result<plan::Search, UsageError> {
        let mut search = search.unwrap_or_default();
        let over = self.over.map(|over| match over {
            Over::Rate => plan::SearchOver::Rate,
            Over::Users => plan::SearchOver::Users,
        });
        search.over = over.unwrap_or(search.over);
        if !self.hold.is_empty() {
            let threshold = |one: &Threshold| plan::Threshold { text: one.to_string(), place: plan::Place::default() };
            search.hold = self.hold.iter().map(threshold).collect();
        }
        search.from = self.from.or(search.from);
        search.to = self.to.or(search.to);
        search.within = self.within.or(search.within);
        search.trial = self.trial.or(search.trial);
        search.most_trials = self.most_trials.or(search.most_trials);
        ensure_usage(
            !search.hold.is_empty(),
            || "a search needs to know what must hold: give --hold 'arrival.p99<50ms' --hold 'lost==0'",
        )?;
        Ok(search)
    }
}

/// Makes a plan a search: its levels are found.
/// Fails when it cannot find anything.
pub(super) fn searching(plan: Plan, search: &plan::Search, is_traced: bool) -> Result<Plan, UsageError> {
    let (over, from, to) = match search.over {
        plan::SearchOver::Rate => (Over::Rate, 1000.0, 100_000.0),
        plan::SearchOver::Users => (Over::Users, 1.0, 1000.0),
    };
    let hold: Result<Vec<Threshold>, _> = search.hold.iter().map(|one| one.text.parse::<Threshold>()).collect();
    let hold = hold.map_err(|error| UsageError(error.to_string()))?;
    let (from, to) = (search.from.unwrap_or(from), search.to.unwrap_or(to));
    let trial = search.trial.unwrap_or(TRIAL);
    let unit = over.unit();
    ensure_usage(over == Over::Rate || from >= 1.0 && from.fract() + to.fract() == 0.0, || {
        format!("--from {from}{unit} and --to {to}{unit}: users are whole numbers, from 1 on")
    })?;
    ensure_usage(from < to, || format!("--from {from}{unit} is not below --to {to}{unit}: swap or widen them"))?;
    if let Some(one) = hold.iter().find(|one| !is_traced && one.is_of_messages()) {
        return Err(UsageError(format!(
            "--hold '{one}' is of traced messages, and an API alone is loaded: take response.p99 or errors, or name its log store with --redis"
        )));
    }
    let samples = hold.iter().map(Threshold::samples_needed).max().unwrap_or(0) as f64;
    let every = plan.every.get() as f64;
    let in_first = from * trial.as_secs_f64() / every;
    ensure_usage(over == Over::Users || in_first >= samples, || {
        format!(
            "a trial of {} at {from}/s has {in_first:.0} sampled messages, and what must hold takes {samples}: give a higher --from, a longer --trial, or sample more (--every)",
            humantime::format_duration(trial)
        )
    })?;
    let limit = hold.iter().find_map(Threshold::limit_of_arrival_p99);
    let search = SearchPlan {
        over,
        from,
        to,
        within: search.within.unwrap_or(0.03),
        trial,
        most_trials: search.most_trials.unwrap_or(MOST_TRIALS) as usize,
        // With some to spare.
        least_requests: samples * every * 1.2,
        hold,
    };
    Ok(Plan { levels: Vec::new(), p99_limit: limit.unwrap_or(plan.p99_limit), search: Some(search), ..plan })
}

fn parse_over(text: &str) -> Result<Over, String> {
    match text {
        "rate" => Ok(Over::Rate),
        "users" | "connections" => Ok(Over::Users),
        _ => Err("write rate or users".to_owned()),
    }
}

/// Reads `1000/s`, `60000/min`, or a number alone.
pub(super) fn parse_load(text: &str) -> Result<f64, String> {
    let (number, seconds) = match text.split_once('/') {
        None | Some((_, "s")) => (text.strip_suffix("/s").unwrap_or(text), 1.0),
        Some((number, "min" | "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3600.0),
        Some(_) => return Err("write a rate such as 1000/s, or a number of users".to_owned()),
    };
    let load = number.trim().parse::<f64>().ok().map(|number| number / seconds);
    let load = load.filter(|load| load.is_finite() && (0.001..=10e6).contains(load));
    load.ok_or_else(|| "write a rate such as 1000/s, or a number of users, from 0.001 to 10000000".to_owned())
}

/// Reads `3%`, or `0.03`.
pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
        None => text.parse().ok(),
    };
    share
        .filter(|share| (0.001..=1.0).contains(share))
        .ok_or_else(|| "write a part such as 3%, from 0.1% to 100%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_and_parts() {
        let close = |found: Result<f64, String>, expected: f64| (found.unwrap() - expected).abs() < 1e-9;
        assert!(close(parse_load("1000/s"), 1000.0) && close(parse_load("60/min"), 1.0) && close(parse_load("7"), 7.0));
        assert!(parse_load("7/day").is_err() && parse_load("-1").is_err() && parse_load("many").is_err());
        assert!(close(parse_share("3%"), 0.03) && close(parse_share("0.1"), 0.1));
        assert!(parse_share("0").is_err() && parse_share("300%").is_err());
    }
}
