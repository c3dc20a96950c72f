//! What trials have told of the highest load that holds: a probability for each candidate. Pure.
//!
//! A trial at load r holds with probability λ + (1 - 2λ) / (1 + (r / C)^(1 / s)): C is what is sought, s how far trials of one load differ (on the
//! scale of logarithms), and λ how often a trial goes wrong for a reason of its own, such as a machine that was busy with something else. Bayes' rule
//! turns verdicts into a distribution over C and s together. That is the Ψ method of psychophysics (L. L. Kontsevich & C. W. Tyler 1999, "Bayesian
//! adaptive estimation of psychometric slope and threshold", Vision Research 39, 2729-2737), by which the next load is also chosen: the one whose
//! verdict is expected to tell most. Where trials do not differ, it halves the interval as bisection does; where they do, it asks again.

/// A trial goes wrong for a reason of its own this often.
const LAPSE: f64 = 0.01;

/// How far trials of one load may differ: standard deviations of ln C, roughly.
const SPREADS: [f64; 6] = [0.003, 0.006, 0.012, 0.024, 0.048, 0.096];

/// Candidates lie this part of the asked width apart.
const FINENESS: f64 = 8.0;

/// Candidates that are so many times less likely than the likeliest do not bear on which load tells most.
const UNLIKELY: f64 = 1e-4;

/// A distribution over the highest load that holds.
#[derive(Debug, Clone)]
pub(super) struct Belief {
    /// The logarithm of the lowest candidate, and the distance from one to the next.
    first: f64,
    step: f64,
    candidates: usize,
    /// The probability of each candidate with each spread, the spreads of one candidate side by side.
    weights: Vec<f64>,
    /// How likely a trial holds whose load lies so many candidates above what is sought, for each spread; what is sought at the highest candidate and
    /// the load at the lowest comes first.
    holds: Vec<f64>,
}

impl Belief {
    /// Nothing is known but that it lies between `low` and `high`, and is sought as narrowly as `within`.
    pub(super) fn new(low: f64, high: f64, within: f64) -> Self {
        let step = within.ln_1p() / FINENESS;
        let (first, last) = (low.ln(), high.ln());
        // A span of a few decades in steps of more than a ten-thousandth.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let candidates = ((last - first) / step).ceil().clamp(1.0, 100_000.0) as usize + 1;
        let weights = vec![1.0 / (candidates * SPREADS.len()) as f64; candidates * SPREADS.len()];
        let distances = (0..2 * candidates - 1).map(|offset| (offset as f64 - (candidates - 1) as f64) * step);
        let holds = distances.flat_map(|distance| SPREADS.map(|spread| holds(distance, spread))).collect();
        Self { first, step, candidates, weights, holds }
    }

    /// The load of a candidate, which may lie between two of them.
    fn load(&self, index: f64) -> f64 {
        (self.first + self.step * index).exp()
    }

    /// The candidate nearest to a load.
    fn nearest(&self, load: f64) -> usize {
        // Not below 0, and not above the number of candidates.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = ((load.ln() - self.first) / self.step).round().max(0.0) as usize;
        index.min(self.candidates - 1)
    }

    /// How likely a trial at the candidate `load` holds, for each spread, where `sought` is what is sought.
    fn holds(&self, load: usize, sought: usize) -> &[f64] {
        &self.holds[(load + self.candidates - 1 - sought) * SPREADS.len()..][..SPREADS.len()]
    }

    fn of(&self, sought: usize) -> &[f64] {
        &self.weights[sought * SPREADS.len()..][..SPREADS.len()]
    }

    /// Takes what a trial has told. How sure a verdict is needs not be known: near the limit it falls to either side, which shows as a spread.
    pub(super) fn learn(&mut self, load: f64, held: bool) {
        let load = self.nearest(load);
        let likelihood = |holds: f64| if held { holds } else { 1.0 - holds };
        let mut weights = Vec::with_capacity(self.weights.len());
        for sought in 0..self.candidates {
            let holds = self.holds(load, sought);
            weights.extend(self.of(sought).iter().zip(holds).map(|(weight, holds)| weight * likelihood(*holds)));
        }
        let sum: f64 = weights.iter().sum();
        self.weights = weights.into_iter().map(|weight| weight / sum).collect();
    }

    /// The probability of each candidate, whatever the spread.
    fn marginal(&self) -> Vec<f64> {
        self.weights.chunks(SPREADS.len()).map(|spreads| spreads.iter().sum()).collect()
    }

    /// The loads below which what is sought lies with these probabilities, which rise.
    pub(super) fn quantiles<const N: usize>(&self, probabilities: [f64; N]) -> [f64; N] {
        let marginal = self.marginal();
        let (mut sum, mut index) = (0.0, 0);
        probabilities.map(|probability| {
            while index + 1 < marginal.len() && sum + marginal[index] < probability {
                sum += marginal[index];
                index += 1;
            }
            // Within a candidate as on a line.
            let weight = marginal[index];
            let part = if weight > 0.0 { ((probability - sum) / weight).min(1.0) - 0.5 } else { 0.0 };
            self.load(index as f64 + part)
        })
    }

    /// The 95 % interval.
    pub(super) fn interval(&self) -> (f64, f64) {
        let [low, high] = self.quantiles([0.025, 0.975]);
        (low, high)
    }

    /// Of these loads the one whose verdict is expected to tell most: that shares most information with what is sought.
    pub(super) fn most_telling(&self, loads: &[f64]) -> Option<f64> {
        let entropy = |p: f64| if p <= 0.0 || p >= 1.0 { 0.0 } else { -p * p.ln() - (1.0 - p) * (1.0 - p).ln() };
        let marginal = self.marginal();
        let likely = UNLIKELY * marginal.iter().copied().fold(0.0, f64::max);
        let information = |load: f64| {
            let load = self.nearest(load);
            let (mut all, mut given) = (0.0, 0.0);
            for (sought, &sum) in marginal.iter().enumerate().filter(|(_, sum)| **sum > likely) {
                let weights = self.of(sought).iter().zip(self.holds(load, sought));
                let holds: f64 = weights.map(|(weight, holds)| weight * holds).sum();
                all += holds;
                given += sum * entropy(holds / sum);
            }
            entropy(all) - given
        };
        let told = loads.iter().map(|&load| (load, information(load)));
        told.max_by(|one, other| one.1.total_cmp(&other.1)).map(|(load, _)| load)
    }
}

/// How likely a trial holds whose load lies so far above what is sought, on the scale of logarithms.
fn holds(distance: f64, spread: f64) -> f64 {
    // The logistic distribution has a standard deviation of π/√3 times its scale.
    let scale = spread * 3f64.sqrt() / std::f64::consts::PI;
    LAPSE + (1.0 - 2.0 * LAPSE) / (1.0 + (distance / scale).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_narrow_the_interval_around_what_is_sought() {
        let mut belief = Belief::new(1000.0, 100_000.0, 0.03);
        let (low, high) = belief.interval();
        assert!(low < 1200.0 && high > 85_000.0, "{low} {high}");
        for load in [8000.0, 10_000.0, 11_000.0, 12_000.0, 13_000.0, 16_000.0] {
            for _ in 0..2 {
                belief.learn(load, load < 11_500.0);
            }
        }
        let (low, high) = belief.interval();
        assert!((10_000.0..11_500.0).contains(&low) && (11_500.0..13_000.0).contains(&high), "{low} {high}");
        // Verdicts that contradict each other widen it.
        let before = high - low;
        for held in [false, true, false] {
            belief.learn(10_000.0, held);
        }
        let (low, high) = belief.interval();
        assert!(high - low > before, "{low} {high}");
    }

    #[test]
    fn what_is_known_already_tells_nothing() {
        let mut belief = Belief::new(1000.0, 100_000.0, 0.03);
        belief.learn(10_000.0, true);
        belief.learn(20_000.0, false);
        let next = belief.most_telling(&[1000.0, 14_000.0, 90_000.0]).unwrap();
        assert!((next - 14_000.0).abs() < 1.0, "{next}");
    }
}
