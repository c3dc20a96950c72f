//! Several loads that belong together: a search for the highest one that holds, and every combination of parameters.

use super::Threshold;
use std::time::Duration;

/// A search for the highest load that holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Search {
    /// What is raised.
    pub over: SearchOver,
    /// What must hold.
    pub hold: Vec<Threshold>,
    /// The lowest load: requests or rounds a second, or users.
    pub from: Option<f64>,
    /// The highest load that is tried.
    pub to: Option<f64>,
    /// The answer's interval is no wider than this part of its lower end.
    pub within: Option<f64>,
    /// How long a trial loads at the most.
    pub trial: Option<Duration>,
    /// Trials at the most.
    pub most_trials: Option<u32>,
}

/// What a search raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchOver {
    /// Requests or rounds a second.
    #[default]
    Rate,
    /// Users.
    Users,
}

/// Every combination of some parameters' values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vary {
    /// Parameters with their values, in the order in which they stand.
    pub params: Vec<(String, Vec<String>)>,
    /// How often each combination is run.
    pub repeat: u32,
}

impl Vary {
    /// How many combinations there are: no more than a u64 counts.
    pub fn combinations(&self) -> u64 {
        self.params.iter().fold(1, |product, (_, values)| product.saturating_mul(values.len() as u64))
    }

    /// How many runs that makes.
    pub fn runs(&self) -> u64 {
        self.combinations().saturating_mul(self.repeat.into())
    }

    /// A combination, counted from 0: the last parameter changes fastest.
    pub fn combination(&self, number: u64) -> Vec<(String, String)> {
        let mut rest = number;
        let mut combination: Vec<(String, String)> = self
            .params
            .iter()
            .rev()
            .map(|(name, values)| {
                let count = values.len().max(1) as u64;
                let value = usize::try_from(rest % count).ok().and_then(|at| values.get(at));
                rest /= count;
                (name.clone(), value.cloned().unwrap_or_default())
            })
            .collect();
        combination.reverse();
        combination
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_once() {
        let list = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        let params = vec![("a".to_owned(), list(&["1", "2"])), ("b".to_owned(), list(&["x", "y", "z"]))];
        let vary = Vary { params, repeat: 1 };
        let told = |number| {
            vary.combination(number).iter().map(|(name, value)| [&name[..], value].concat()).collect::<String>()
        };
        let all: Vec<String> = (0..vary.combinations()).map(told).collect();
        assert_eq!(all, ["a1bx", "a1by", "a1bz", "a2bx", "a2by", "a2bz"]);
    }
}
