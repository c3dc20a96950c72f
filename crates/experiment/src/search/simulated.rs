//! Searches of simulated pipelines, whose capacity is known.

use super::*;
use load::SplitMix;

/// A pipeline whose p99 of arrival latency grows as that of a single server does (M/M/1), until it is overloaded.
struct Simulated {
    /// Messages a second at which it is overloaded.
    overload: f64,
    /// How far that differs from trial to trial: the standard deviation of its logarithm.
    sway: f64,
    /// How far a measured p99 lies from the true one, on the scale of logarithms, in a trial of 20 s.
    blur: f64,
    /// A trial fails for a reason of its own this often.
    hiccup: f64,
    random: SplitMix,
}

/// The p99 of an idle pipeline, and the limit: ms.
const IDLE_MS: f64 = 5.0;
const LIMIT_MS: f64 = 50.0;

impl Simulated {
    fn normal(&mut self) -> f64 {
        (-2.0 * self.random.unit().ln()).sqrt() * (std::f64::consts::TAU * self.random.unit()).cos()
    }

    /// The load at which its p99 is at the limit.
    fn truth(&self) -> f64 {
        self.overload * (1.0 - IDLE_MS / LIMIT_MS)
    }

    fn trial(&mut self, ask: Ask) -> Trial {
        let overload = self.overload * (self.sway * self.normal()).exp();
        let blur = self.blur * (20.0 / ask.lasts.as_secs_f64()).sqrt();
        let usage = ask.load / overload;
        let chance = if self.random.unit() < self.hiccup || usage >= 1.0 {
            0.0
        } else {
            let p99 = IDLE_MS / (1.0 - usage) * (blur * self.normal()).exp();
            let sigmas = (LIMIT_MS / p99).ln() / blur.max(1e-6);
            1.0 / (1.0 + (-1.702 * sigmas).exp())
        };
        let verdict = match chance {
            chance if chance > 0.975 => TrialVerdict::Carried,
            chance if chance < 0.025 => TrialVerdict::Not,
            _ => TrialVerdict::Doubtful,
        };
        let duration_us = u64::try_from(ask.lasts.as_micros()).unwrap();
        Trial { load: ask.load, duration_us, verdict, chance, why: None, run: String::new() }
    }
}

fn plan(from: f64, to: f64) -> SearchPlan {
    SearchPlan {
        over: Over::Rate,
        hold: Vec::new(),
        from,
        to,
        within: 0.03,
        trial: Duration::from_secs(20),
        most_trials: 40,
        least_requests: 0.0,
    }
}

fn searched(plan: SearchPlan, pipeline: &mut Simulated) -> Found {
    let mut search = Search::new(plan);
    while let Some(ask) = search.ask() {
        search.take(pipeline.trial(ask));
    }
    search.found()
}

/// What plain bisection finds, and in how many trials.
fn bisected(plan: &SearchPlan, pipeline: &mut Simulated) -> (f64, f64, usize) {
    let (mut low, mut high, mut trials) = (plan.from, plan.from, 0);
    let mut holds = |load: f64| {
        trials += 1;
        pipeline.trial(Ask { load, lasts: plan.trial }).chance >= 0.5
    };
    while holds(high) {
        (low, high) = (high, high * 2.0);
    }
    while high / low - 1.0 > plan.within {
        let middle = (low * high).sqrt();
        if holds(middle) { low = middle } else { high = middle }
    }
    (low, high, trials)
}

#[test]
fn the_interval_holds_the_truth_in_93_of_100_searches() {
    const SEARCHES: u32 = 1000;
    let mut random = SplitMix::new(7);
    let (mut held, mut bisection_held, mut trials, mut bisection_trials, mut wide) = (0, 0, 0, 0, 0);
    for search in 0..SEARCHES {
        let mut pipeline = Simulated {
            overload: 2000.0 * 30f64.powf(random.unit()),
            sway: [0.0, 0.005, 0.01, 0.02, 0.04][search as usize % 5],
            blur: [0.02, 0.05, 0.15][search as usize % 3],
            hiccup: [0.0, 0.02][search as usize % 2],
            random: SplitMix::new(u64::from(search)),
        };
        let plan = plan(1000.0, 100_000.0);
        let truth = pipeline.truth();
        let found = searched(plan.clone(), &mut pipeline);
        let holds = |low: f64, high: f64| u32::from((low..=high).contains(&truth));
        held += holds(found.low.unwrap_or(0.0), found.high.unwrap_or(f64::INFINITY));
        trials += found.trials.len();
        wide += u32::from(found.ended == Ended::Wide);
        let (low, high, number) = bisected(&plan, &mut pipeline);
        bisection_held += holds(low, high);
        bisection_trials += number;
    }
    let mean = |trials: usize| trials as f64 / f64::from(SEARCHES);
    println!(
        "the interval held the truth in {held} of {SEARCHES} searches with {:.1} trials in the mean ({wide} wide); plain bisection's in {bisection_held} with {:.1}",
        mean(trials),
        mean(bisection_trials)
    );
    assert!(held >= SEARCHES * 93 / 100, "{held}");
}
