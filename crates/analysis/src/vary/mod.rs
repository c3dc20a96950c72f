//! Every combination of some parameters, side by side: how each does, which parameter matters, and by how much. Pure.
//!
//! Runs of one combination tell how far chance alone moves a figure. From that come the intervals: of a combination's mean, and of what a parameter
//! changes while the others stay.

mod effects;

pub use effects::Effect;

use crate::statistics::student;
use crate::{KeyFigure, KeyFigureKind};
use serde::{Deserialize, Serialize};
use stamp::counted;
use std::collections::BTreeMap;

/// One run of a combination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariedRun {
    /// Which it is in the order of running, counted from 1.
    pub number: usize,
    /// The parameters, in the plan's order.
    pub combination: Vec<(String, String)>,
    /// Which repetition, counted from 1.
    pub repeat: u32,
    /// What it measured.
    pub figures: Vec<KeyFigure>,
    /// Its report's folder, beside the file that this stands in.
    pub report: String,
    /// What it found, in a sentence.
    pub verdict: Option<String>,
    /// Whether a threshold was missed.
    pub missed: bool,
    /// Why there is no report, where there is none.
    pub failed: Option<String>,
}

/// All runs, and what they tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Varied {
    /// The version of this shape.
    pub schema_version: u32,
    /// What the plan is called.
    pub plan: String,
    /// The parameters and their values, in the plan's order.
    pub params: Vec<(String, Vec<String>)>,
    /// Runs that were planned.
    pub planned: usize,
    /// The figure that combinations are compared by; absent where no run has one.
    pub figure: Option<String>,
    /// Each combination, in the plan's order.
    pub combinations: Vec<Combination>,
    /// What each value of a parameter changes against its first one.
    pub effects: Vec<Effect>,
    /// The best combination, and those that cannot be told apart from it; by their places among the combinations.
    pub best: Vec<usize>,
    /// The most important in words.
    pub sentences: Vec<String>,
    /// All runs, in their order.
    pub runs: Vec<VariedRun>,
}

/// One combination over its repetitions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Combination {
    /// The values, in the order of the parameters.
    pub values: Vec<String>,
    /// Runs that have a report.
    pub runs: usize,
    /// Its figures by name.
    pub figures: BTreeMap<String, Averaged>,
}

/// A figure over the repetitions of a combination.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Averaged {
    /// Of each repetition.
    pub values: Vec<f64>,
    /// Their geometric mean, or the mean where one is not above 0.
    pub mean: f64,
    /// Whether the mean is at least so much: the search of a repetition ended before anything failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
    /// The 95 % interval of that: from how far repetitions lie apart in all combinations together; of a single run its own interval. Absent where
    /// neither is known.
    pub interval: Option<(f64, f64)>,
}

impl Varied {
    /// The version of the shape that this program writes.
    pub const SCHEMA_VERSION: u32 = 1;

    /// What the runs of a plan tell, of which `planned` were to be made.
    pub fn new(plan: &str, params: &[(String, Vec<String>)], planned: usize, runs: &[VariedRun]) -> Self {
        let mut values: Vec<Vec<String>> = vec![Vec::new()];
        for (_, of) in params {
            values = values
                .into_iter()
                .flat_map(|so_far| of.iter().map(move |one| [&so_far[..], std::slice::from_ref(one)].concat()))
                .collect();
        }
        let names = KeyFigureKind::ALL.map(|kind| kind.name);
        let combinations: Vec<Combination> =
            values.into_iter().map(|values| Combination::new(values, runs, &names)).collect();
        let figure = names.iter().find(|name| combinations.iter().any(|one| one.figures.contains_key(**name)));
        let mut varied = Self {
            schema_version: Self::SCHEMA_VERSION,
            plan: plan.to_owned(),
            params: params.to_vec(),
            planned,
            figure: figure.map(ToString::to_string),
            combinations,
            effects: Vec::new(),
            best: Vec::new(),
            sentences: Vec::new(),
            runs: runs.to_vec(),
        };
        for name in names {
            varied.average(name);
        }
        if let Some(figure) = varied.figure.clone() {
            varied.effects = effects::all(&varied, &figure);
            varied.best = varied.best_of(&figure);
        }
        varied.sentences = varied.told();
        varied
    }

    /// The figure that combinations are compared by.
    pub fn kind(&self) -> Option<KeyFigureKind> {
        KeyFigureKind::of(self.figure.as_deref()?)
    }

    /// The spread of repetitions, over all combinations: the variance of logarithms, and its degrees of freedom. None where nothing was repeated.
    fn variance(&self, figure: &str) -> Option<(f64, f64)> {
        let (mut squares, mut freedom) = (0.0, 0.0);
        for averaged in
            self.combinations.iter().filter_map(|one| one.figures.get(figure)).filter(|one| one.is_measured())
        {
            let mean = averaged.mean.ln();
            squares += averaged.values.iter().map(|value| (value.ln() - mean).powi(2)).sum::<f64>();
            freedom += averaged.values.len() as f64 - 1.0;
        }
        (freedom > 0.0).then_some((squares / freedom, freedom))
    }

    /// Gives a figure of each combination its interval.
    fn average(&mut self, figure: &str) {
        let Some((variance, freedom)) = self.variance(figure) else { return };
        let reach = student::two_sided_95(freedom) * variance.sqrt();
        for averaged in
            self.combinations.iter_mut().filter_map(|one| one.figures.get_mut(figure)).filter(|one| one.is_measured())
        {
            let half = reach / (averaged.values.len() as f64).sqrt();
            averaged.interval = Some((averaged.mean * (-half).exp(), averaged.mean * half.exp()));
        }
    }

    /// The best combination first, then those whose difference from it is no more than chance.
    fn best_of(&self, figure: &str) -> Vec<usize> {
        let more_is_better = KeyFigureKind::of(figure).is_some_and(|kind| kind.more_is_better);
        let goodness = |averaged: &Averaged| if more_is_better { averaged.mean } else { -averaged.mean };
        let mut ranked: Vec<(usize, &Averaged)> =
            self.combinations.iter().enumerate().filter_map(|(at, one)| Some((at, one.figures.get(figure)?))).collect();
        ranked.sort_by(|one, other| goodness(other.1).total_cmp(&goodness(one.1)));
        let Some(&(best, leader)) = ranked.first() else { return Vec::new() };
        let spread = self.variance(figure).map(|(variance, freedom)| student::two_sided_95(freedom) * variance.sqrt());
        let alike = |other: &Averaged| {
            let of = |one: &Averaged| 1.0 / one.values.len() as f64;
            match spread {
                // It may be better than any.
                _ if other.at_least => true,
                Some(reach) if leader.is_positive() && other.is_positive() => {
                    (leader.mean / other.mean).ln().abs() <= reach * (of(leader) + of(other)).sqrt()
                }
                _ => {
                    leader.interval.zip(other.interval).is_some_and(|(one, other)| one.0 <= other.1 && other.0 <= one.1)
                }
            }
        };
        let rest = ranked[1..].iter().filter(|(_, other)| alike(other)).map(|(at, _)| *at);
        std::iter::once(best).chain(rest).collect()
    }

    /// Combinations of which it is known only that this figure is at least so much.
    pub fn at_least(&self, kind: KeyFigureKind) -> usize {
        self.combinations.iter().filter(|one| one.figures.get(kind.name).is_some_and(|one| one.at_least)).count()
    }

    /// A combination as people name it.
    pub fn name(&self, combination: &Combination) -> String {
        let pairs = self.params.iter().zip(&combination.values).map(|((name, _), value)| format!("{name} {value}"));
        pairs.collect::<Vec<_>>().join(", ")
    }

    fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        let failed = self.runs.iter().filter(|run| run.failed.is_some()).count();
        if self.runs.len() < self.planned {
            told.push(format!(
                "Made so far: {} of {}; go on with --resume.",
                self.runs.len(),
                counted(self.planned, "run")
            ));
        }
        let (Some(kind), [best, alike @ ..]) = (self.kind(), &self.best[..]) else {
            told.push(format!("No run has a figure to compare by; {failed} of {} failed.", self.runs.len()));
            return told;
        };
        let combination = &self.combinations[*best];
        if let Some(averaged) = combination.figures.get(kind.name) {
            let interval = averaged.interval.map_or_else(String::new, |(low, high)| {
                format!(" (95 % interval {} to {})", kind.shown(low), kind.shown(high))
            });
            told.push(format!(
                "Best by {}: {}, with {}{interval}.",
                kind.about,
                self.name(combination),
                averaged.shown(kind)
            ));
        }
        if !alike.is_empty() {
            let names: Vec<String> = alike.iter().take(3).map(|&at| self.name(&self.combinations[at])).collect();
            let more = if alike.len() > 3 { format!(" and {} more", alike.len() - 3) } else { String::new() };
            told.push(format!("Not to be told apart from it: {}{more}.", names.join("; ")));
        }
        if let open @ 1.. = self.at_least(kind) {
            let all = counted(self.combinations.len(), "combination");
            told.push(format!(
                "For {open} of {all} the search ended before anything failed: at least so much, without a part in what a parameter changes. Its report says what ended it."
            ));
        }
        told.extend(effects::told(&self.effects));
        if failed > 0 {
            told.push(format!("{failed} of {} failed.", counted(self.runs.len(), "run")));
        }
        told
    }
}

impl Combination {
    fn new(values: Vec<String>, runs: &[VariedRun], names: &[&str]) -> Self {
        let is_of =
            |run: &&VariedRun| run.failed.is_none() && run.combination.iter().map(|(_, value)| value).eq(values.iter());
        let of: Vec<&VariedRun> = runs.iter().filter(is_of).collect();
        let figures = names.iter().filter_map(|name| {
            let found = of.iter().filter_map(|run| run.figures.iter().find(|figure| figure.name == *name));
            Some(((*name).to_owned(), Averaged::new(&found.collect::<Vec<_>>())?))
        });
        Self { runs: of.len(), figures: figures.collect(), values }
    }
}

impl Averaged {
    fn new(figures: &[&KeyFigure]) -> Option<Self> {
        let values: Vec<f64> = figures.iter().map(|figure| figure.value).collect();
        let count = values.len() as f64;
        let is_positive = values.iter().all(|value| *value > 0.0);
        let mean = match values[..] {
            [] => return None,
            _ if is_positive => (values.iter().map(|value| value.ln()).sum::<f64>() / count).exp(),
            _ => values.iter().sum::<f64>() / count,
        };
        let own = match figures {
            [one] => one.low.zip(one.high),
            _ => None,
        };
        let at_least = figures.iter().any(|figure| figure.is_at_least());
        Some(Self { values, mean, at_least, interval: own })
    }

    /// Whether it has logarithms.
    fn is_positive(&self) -> bool {
        self.values.iter().all(|value| *value > 0.0)
    }

    /// Whether it can be reckoned with: its logarithms tell how much it is, and not how much at least.
    fn is_measured(&self) -> bool {
        self.is_positive() && !self.at_least
    }

    /// Its mean, for people.
    pub fn shown(&self, kind: KeyFigureKind) -> String {
        let at_least = if self.at_least { "at least " } else { "" };
        format!("{at_least}{}", kind.shown(self.mean))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::statistics::Random;

    /// Runs whose capacity is 1,000 × the number of workers ^ 0.5, 3 × that with a batch of 100, and 5 % of noise.
    pub(crate) fn runs(repeat: u32) -> (Vec<(String, Vec<String>)>, Vec<VariedRun>) {
        let list = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        let params = vec![("workers".to_owned(), list(&["1", "4", "16"])), ("batch".to_owned(), list(&["1", "100"]))];
        let mut random = Random::new(5);
        let mut runs = Vec::new();
        for repeat in 1..=repeat {
            for workers in ["1", "4", "16"] {
                for batch in ["1", "100"] {
                    let times: f64 = if batch == "100" { 3.0 } else { 1.0 };
                    let capacity =
                        1000.0 * workers.parse::<f64>().unwrap().sqrt() * times * (0.05 * random.normal()).exp();
                    let figure = KeyFigure { name: "capacity".to_owned(), value: capacity, low: None, high: None };
                    runs.push(VariedRun {
                        number: runs.len() + 1,
                        combination: vec![
                            ("workers".to_owned(), workers.to_owned()),
                            ("batch".to_owned(), batch.to_owned()),
                        ],
                        repeat,
                        figures: vec![figure],
                        report: String::new(),
                        verdict: None,
                        missed: false,
                        failed: None,
                    });
                }
            }
        }
        (params, runs)
    }

    #[test]
    fn the_best_and_what_matters() {
        let (params, runs) = runs(3);
        let varied = Varied::new("workers", &params, 18, &runs);
        insta::assert_snapshot!(varied.sentences.join("\n"), @r"
        Best by the highest load that holds: workers 16, batch 100, with 12,423/s (95 % interval 11,657/s to 13,239/s).
        workers accounts for 51 % of what differs: 16 is 4.07 × 1 (95 % interval 3.81 to 4.33).
        batch accounts for 49 % of what differs: 100 is 3.06 × 1 (95 % interval 2.91 to 3.23).
        ");
        let (low, high) = varied.combinations[5].figures["capacity"].interval.unwrap();
        assert!(low < 12_000.0 && 12_000.0 < high, "{low} {high}");
    }

    #[test]
    fn what_is_known_to_be_at_least_so_much_has_no_rank() {
        let (params, mut runs) = runs(2);
        let with_batches = runs.iter_mut().filter(|run| run.combination[1].1 == "100" && run.combination[0].1 != "1");
        for figure in with_batches.flat_map(|run| &mut run.figures) {
            (figure.value, figure.low) = (5_000.0, Some(5_000.0));
        }
        let varied = Varied::new("workers", &params, 12, &runs);
        insta::assert_snapshot!(varied.sentences.join("\n"), @r"
        Best by the highest load that holds: workers 4, batch 100, with at least 5,000/s.
        Not to be told apart from it: workers 16, batch 100.
        For 2 of 6 combinations the search ended before anything failed: at least so much, without a part in what a parameter changes. Its report says what ended it.
        workers accounts for 43 % of what differs: 16 is 4.15 × 1 (95 % interval 3.51 to 4.91).
        batch accounts for 13 % of what differs: 100 is 3.17 × 1 (95 % interval 2.68 to 3.74).
        ");
    }

    #[test]
    fn without_repetitions_there_are_no_intervals() {
        let (params, mut runs) = runs(1);
        runs[3].failed = Some("it did not start".to_owned());
        runs.truncate(5);
        let varied = Varied::new("workers", &params, 6, &runs);
        insta::assert_snapshot!(varied.sentences.join("\n"), @r"
        Made so far: 5 of 6 runs; go on with --resume.
        Best by the highest load that holds: workers 16, batch 1, with 3,797/s.
        workers: 16 is 3.79 × 1; run each combination several times (`repeat`) for an interval.
        batch: 100 is 3.21 × 1; run each combination several times (`repeat`) for an interval.
        1 of 5 runs failed.
        ");
    }
}
