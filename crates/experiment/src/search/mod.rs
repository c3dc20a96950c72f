//! The search for the highest load that holds: which trial comes next, and when there is an answer. Pure: it neither loads nor measures.

mod belief;
#[cfg(test)]
mod simulated;

use crate::setting::{Setting, Who};
use analysis::{Carried, Ended, Found, Level, Over, Trial, TrialVerdict};
use belief::Belief;
use std::time::Duration;

/// A search as data.
#[derive(Debug, Clone)]
pub struct SearchPlan {
    /// What is raised.
    pub over: Over,
    /// What must hold, as it was written.
    pub hold: Vec<analysis::Threshold>,
    /// The lowest load, which is tried first.
    pub from: f64,
    /// The highest load that is tried.
    pub to: f64,
    /// The answer's interval is no wider than this part of its lower end.
    pub within: f64,
    /// How long a trial loads at the most; the first ones are shorter.
    pub trial: Duration,
    /// Trials at the most.
    pub most_trials: usize,
    /// A trial has at least so many requests, as far as its time allows: fewer do not tell what must hold.
    pub least_requests: f64,
}

impl SearchPlan {
    /// What a report says of it.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let unit = self.over.unit();
        let hold: Vec<String> = self.hold.iter().map(ToString::to_string).collect();
        vec![
            ("search_hold", hold.join(", ")),
            ("search_from", format!("{}{unit}", self.from)),
            ("search_to", format!("{}{unit}", self.to)),
            ("search_within", format!("{} %", self.within * 100.0)),
            ("search_trial", humantime::format_duration(self.trial).to_string()),
        ]
    }
}

/// What is to be tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ask {
    /// The load.
    pub(crate) load: f64,
    /// For how long.
    pub(crate) lasts: Duration,
}

/// A search under way.
#[derive(Debug)]
pub(crate) struct Search {
    plan: SearchPlan,
    belief: Belief,
    phase: Phase,
    trials: Vec<Trial>,
    /// The generator did not make this load.
    ceiling: Option<f64>,
    /// The next trial is as long as any, since the one before was too short to tell.
    longer: bool,
    /// Median service time under the lightest load, which is the first.
    light_service_us: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Doubles the load until a trial fails.
    Rising {
        next: f64,
    },
    /// Asks where the verdict tells most.
    Narrowing,
    Ended(Ended),
}

/// Trials are this many times shorter than the longest, while the load is doubled; and half as short, while the interval is far too wide.
const FIRST_ARE_SHORTER: u32 = 4;

/// No trial is shorter than this, unless all are.
const SHORTEST: Duration = Duration::from_secs(2);

/// While the interval is so many times too wide, trials are shorter.
const FAR: f64 = 4.0;

/// Trials of one load that the generator did not make, after which the search ends.
const LIMITED: usize = 2;

impl Search {
    /// A search that has not begun.
    pub(crate) fn new(plan: SearchPlan) -> Self {
        // What is sought may lie beyond both ends.
        let belief = Belief::new(plan.from / 1.5, plan.to * 1.5, plan.within);
        let phase = Phase::Rising { next: plan.from };
        Self { plan, belief, phase, trials: Vec::new(), ceiling: None, longer: false, light_service_us: None }
    }

    /// What is to be tried next; nothing once there is an answer.
    pub(crate) fn ask(&mut self) -> Option<Ask> {
        let longest = self.plan.trial;
        let shorter = |times: u32| (longest / times).max(SHORTEST.min(longest));
        let (load, lasts) = match self.phase {
            Phase::Ended(_) => return None,
            Phase::Rising { next } => (next, shorter(FIRST_ARE_SHORTER)),
            Phase::Narrowing => {
                let (low, high) = self.belief.interval();
                let lasts =
                    if high / low - 1.0 > FAR * self.plan.within { shorter(FIRST_ARE_SHORTER / 2) } else { longest };
                (self.most_telling()?, lasts)
            }
        };
        let again = self.trials.last().is_some_and(|last| same(last.load, load));
        let lasts = if self.longer || again { longest } else { lasts };
        let tells = if self.plan.over == Over::Rate { self.plan.least_requests / load } else { 0.0 };
        let lasts = lasts.max(Duration::from_secs_f64(tells.min(longest.as_secs_f64())));
        self.longer = false;
        Some(Ask { load, lasts })
    }

    /// Takes a trial that was made.
    pub(crate) fn take(&mut self, trial: Trial) {
        let (load, verdict) = (trial.load, trial.verdict);
        // A verdict that nobody is sure of falls to the side on which the figure lies.
        let held = trial.chance >= 0.5;
        let unknown = verdict == TrialVerdict::Doubtful && trial.chance.total_cmp(&0.5).is_eq();
        self.trials.push(trial);
        match verdict {
            TrialVerdict::GeneratorLimited => self.limit(load),
            _ if unknown => self.longer = true,
            _ => self.learn(load, held),
        }
        if !matches!(self.phase, Phase::Ended(_)) && self.trials.len() >= self.plan.most_trials {
            self.phase = Phase::Ended(Ended::Wide);
        }
    }

    fn learn(&mut self, load: f64, held: bool) {
        self.belief.learn(load, held);
        self.phase = match self.phase {
            Phase::Rising { .. } if held && same(load, self.plan.to) => {
                if self.tried(load) > 1 {
                    Phase::Ended(Ended::HighestHolds)
                } else {
                    self.phase
                }
            }
            Phase::Rising { .. } if held => Phase::Rising { next: (load * 2.0).min(self.plan.to) },
            // It is asked once more before it is believed.
            Phase::Rising { .. } if same(load, self.plan.from) => {
                if self.tried(load) > 1 {
                    Phase::Ended(Ended::LowestFails)
                } else {
                    self.phase
                }
            }
            _ => Phase::Narrowing,
        };
        if self.phase == Phase::Narrowing {
            let (low, high) = self.belief.interval();
            if high / low - 1.0 <= self.plan.within * (1.0 + 1e-9) {
                self.phase = Phase::Ended(Ended::Found);
            } else if low >= self.plan.to {
                self.phase = Phase::Ended(Ended::HighestHolds);
            }
        }
    }

    /// What has been found by now.
    pub(crate) fn found(&self) -> Found {
        let ended = match self.phase {
            Phase::Ended(ended) => ended,
            _ => Ended::Interrupted,
        };
        let most = self.held().max_by(f64::total_cmp);
        let has_failed = self.trials.iter().any(|trial| trial.verdict == TrialVerdict::Not);
        let (low, high) = match ended {
            Ended::LowestFails => (None, Some(self.plan.from)),
            Ended::HighestHolds | Ended::GeneratorLimited => (most, None),
            _ if !has_failed => (most, None),
            _ if most.is_none() && ended == Ended::Interrupted => (None, None),
            _ => {
                let (low, high) = self.belief.interval();
                (Some(low), Some(high))
            }
        };
        Found {
            over: self.plan.over,
            hold: self.plan.hold.iter().map(ToString::to_string).collect(),
            low,
            high,
            ended,
            limited_by: self.limited_by(low.unwrap_or(0.0), ended),
            not_monotonic: self.not_monotonic(),
            within: self.plan.within,
            took_us: 0,
            trials: self.trials.clone(),
        }
    }

    /// The level that a trial is.
    pub(crate) fn setting(&self, ask: Ask, who: Who, spawn: Option<f64>, connections: u32) -> Setting {
        // Users are whole numbers, as they were rounded.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let (connections, rate) = match self.plan.over {
            Over::Rate => (connections, Some(ask.load)),
            Over::Users => (ask.load as u32, None),
        };
        Setting { connections, who, rate, spawn, lasts: Some(ask.lasts), repeat: 1, repeated: false }
    }

    /// Takes a level as the trial that it is.
    pub(crate) fn judge(&mut self, ask: Ask, level: &Level) {
        let service_us = level.load.http.as_ref().and_then(|http| http.service_p50_us);
        let carried = Carried::of(level, &self.plan.hold, self.light_service_us);
        self.light_service_us = self.light_service_us.or(service_us);
        let duration_us = level.load.http.as_ref().map_or(0, |http| http.duration_us);
        let Carried { verdict, chance, why } = carried;
        let run = level.load.run.to_string();
        self.take(Trial { load: ask.load, duration_us, verdict, chance, why, run });
    }

    /// Loads under which everything held, if not always for sure.
    fn held(&self) -> impl Iterator<Item = f64> {
        let held = |trial: &&Trial| trial.verdict != TrialVerdict::GeneratorLimited && trial.chance > 0.5;
        self.trials.iter().filter(held).map(|trial| trial.load)
    }

    /// How often a load was tried and told something.
    fn tried(&self, load: f64) -> usize {
        let told = |trial: &&Trial| trial.verdict != TrialVerdict::GeneratorLimited;
        self.trials.iter().filter(told).filter(|trial| same(trial.load, load)).count()
    }

    /// The generator did not make this load.
    fn limit(&mut self, load: f64) {
        let ceiling = self.ceiling.map_or(load, |ceiling| ceiling.min(load));
        self.ceiling = Some(ceiling);
        let times = self.trials.iter().filter(|trial| trial.verdict == TrialVerdict::GeneratorLimited).count();
        let most = self.held().fold(0.0, f64::max);
        let is_near = most * (1.0 + FAR * self.plan.within) >= ceiling;
        self.phase = if is_near || times > LIMITED || most == 0.0 && times >= LIMITED {
            Phase::Ended(Ended::GeneratorLimited)
        } else {
            Phase::Narrowing
        };
    }

    /// Where the next verdict tells most.
    fn most_telling(&mut self) -> Option<f64> {
        let probabilities = [0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975];
        let ceiling = self.ceiling.unwrap_or(f64::INFINITY);
        let likely = self.belief.quantiles(probabilities);
        let mut loads: Vec<f64> = likely
            .into_iter()
            .map(|load| self.round(load))
            .filter(|load| (self.plan.from..=self.plan.to).contains(load) && *load < ceiling)
            .collect();
        if let Some(ceiling) = self.ceiling {
            // Half way to what the generator did not make.
            let most = self.held().fold(self.plan.from, f64::max);
            loads.push(self.round((most * ceiling).sqrt()));
        }
        if loads.is_empty() {
            // All that is likely lies beyond the ends of the search.
            loads.push(if likely[6] < self.plan.from { self.plan.from } else { self.plan.to });
        }
        self.belief.most_telling(&loads)
    }

    /// Loads are told with as many digits as tell them apart.
    fn round(&self, load: f64) -> f64 {
        if self.plan.over == Over::Users {
            return load.round().max(1.0);
        }
        let digits = if self.plan.within >= 0.02 { 2.0 } else { 3.0 };
        let unit = 10f64.powf(load.log10().floor() - digits);
        // A whole number, or few digits behind the point.
        let rounded = (load / unit).round() * unit;
        if rounded >= 100.0 { rounded.round() } else { (rounded * 1e4).round() / 1e4 }
    }

    /// Why no more than that holds: the lowest trial above it that did not, or what the generator said.
    fn limited_by(&self, low: f64, ended: Ended) -> Option<String> {
        let wanted = match ended {
            Ended::GeneratorLimited => TrialVerdict::GeneratorLimited,
            Ended::HighestHolds => return None,
            _ => TrialVerdict::Not,
        };
        let above = self.trials.iter().filter(|trial| trial.verdict == wanted && trial.load >= low);
        let trial = above.min_by(|one, other| one.load.total_cmp(&other.load))?;
        let unit = self.plan.over.unit();
        Some(format!("at {}{unit} {}", analysis::thousands(trial.load), trial.why.as_deref()?))
    }

    /// Where a lower load failed for certain after a higher one had held for certain.
    fn not_monotonic(&self) -> Option<String> {
        let of = |verdict: TrialVerdict| self.trials.iter().filter(move |trial| trial.verdict == verdict);
        let lowest = of(TrialVerdict::Not).min_by(|one, other| one.load.total_cmp(&other.load))?;
        let highest = of(TrialVerdict::Carried).max_by(|one, other| one.load.total_cmp(&other.load))?;
        let unit = self.plan.over.unit();
        (highest.load > lowest.load * (1.0 + self.plan.within)).then(|| {
            format!(
                "not monotonic: {}{unit} failed ({}), although {}{unit} was carried; the interval allows for such trials",
                analysis::thousands(lowest.load),
                lowest.why.as_deref().unwrap_or("no reason"),
                analysis::thousands(highest.load)
            )
        })
    }
}

/// Loads are copied, never computed twice.
fn same(one: f64, other: f64) -> bool {
    one.total_cmp(&other).is_eq()
}
