//! Whether a figure of the newest run is worse than chance lets one expect from the runs before it. Pure.
//!
//! Figures are compared on a logarithmic scale, where a change is a factor. With x = ln(value) of the n earlier runs, their mean m and their variance s²,
//! a new run lies beyond
//!
//! > m ± t(n − 1, 1 − α/k) · √(max(σ², u²) + σ²/n), σ² = max(s², ū²)
//!
//! with probability α/k at most on either side. That is the one-sided prediction interval for a single further value of a normal distribution (G. J. Hahn
//! & W. Q. Meeker, "Statistical Intervals", 1991, section 4.8), where k figures of a plan share the probability α of a false alarm (C. E. Bonferroni,
//! 1936). ū² is the mean variance that the earlier runs claim of themselves, u² that of the new one: a run's own 95 % interval from l to h has
//! ((ln h − ln l) / (2 · 1.96))². So runs that happen to lie close together do not make a spread smaller than one of them can be measured.

use crate::Better;
use analysis::student_exceeded;

/// The probability that any of a plan's figures is called worse by chance.
pub(crate) const FALSE_ALARM: f64 = 0.002;

/// A change below this part matters to nobody, however sure it is.
pub(crate) const MATTERS: f64 = 0.05;

/// Fewer earlier runs tell nothing of their spread.
pub(crate) const LEAST: usize = 3;

/// What an end of a 95 % interval of a normal distribution is away from its middle, in standard deviations.
const REACH: f64 = 1.959_964;

/// A figure as one run measured it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Its value, above 0.
    pub value: f64,
    /// Its own 95 % interval, where it has one with both ends.
    pub interval: Option<(f64, f64)>,
}

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is worse, by more than chance explains.
    Worse,
    /// It is better, by more than chance explains.
    Better,
    /// It is as before, as far as can be told.
    Same,
}

/// A figure of the newest run beside those before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// What became of it.
    pub change: Change,
    /// The geometric mean of the earlier runs.
    pub before: f64,
    /// Where a new run was expected: below its lower end, or above its upper one, it lies by chance with the probability of a false alarm.
    pub expected: (f64, f64),
}

impl Measured {
    /// The variance of its logarithm, as its own interval has it; 0 where it has none.
    fn variance(&self) -> f64 {
        let (low, high) = self.interval.filter(|(low, high)| *low > 0.0 && low <= high).unwrap_or((1.0, 1.0));
        ((high / low).ln() / (2.0 * REACH)).powi(2)
    }
}

/// Sets a figure of the newest run beside those of the earlier ones, as one of `figures` that are looked at. Nothing where there are fewer than three
/// earlier ones, or a value is not above 0.
pub fn judge(newest: Measured, earlier: &[Measured], better: Better, figures: usize) -> Option<Judgement> {
    let positive = |one: &Measured| one.value > 0.0 && one.value.is_finite();
    if earlier.len() < LEAST || !positive(&newest) || !earlier.iter().all(positive) {
        return None;
    }
    let n = earlier.len() as f64;
    let mean = earlier.iter().map(|one| one.value.ln()).sum::<f64>() / n;
    let between = earlier.iter().map(|one| (one.value.ln() - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let claimed = earlier.iter().map(Measured::variance).sum::<f64>() / n;
    let spread = between.max(claimed);
    // The quantile is of |t|, so that one side has half of the probability.
    let reach = student_exceeded(n - 1.0, 2.0 * FALSE_ALARM / figures.max(1) as f64);
    let half = reach * (spread.max(newest.variance()) + spread / n).sqrt();
    let difference = newest.value.ln() - mean;
    let beyond = difference.abs() > half && (difference.exp() - 1.0).abs() > MATTERS;
    let is_gain = (difference > 0.0) == (better == Better::Higher);
    let change = match (beyond, is_gain) {
        (false, _) => Change::Same,
        (true, true) => Change::Better,
        (true, false) => Change::Worse,
    };
    Some(Judgement { change, before: mean.exp(), expected: ((mean - half).exp(), (mean + half).exp()) })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use load::SplitMix;

    /// Log-normally distributed about `middle`, with this standard deviation of the logarithm (G. E. P. Box & M. E. Muller, 1958).
    pub(crate) fn near(random: &mut SplitMix, middle: f64, sd: f64) -> f64 {
        let normal = (-2.0 * random.unit().ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos();
        middle * (sd * normal).exp()
    }

    /// The figures of a run beside `lost`.
    const FIGURES: usize = 6;

    /// What becomes of a figure whose newest value is `factor` times what it was, after so many earlier runs.
    fn changes(seeds: std::ops::Range<u64>, earlier: usize, sd: f64, factor: f64, better: Better) -> Vec<Change> {
        seeds
            .map(|seed| {
                let mut random = SplitMix::new(seed);
                let mut run = |middle| Measured { value: near(&mut random, middle, sd), interval: None };
                let earlier: Vec<Measured> = (0..earlier).map(|_| run(1000.0)).collect();
                judge(run(1000.0 * factor), &earlier, better, FIGURES).unwrap().change
            })
            .collect()
    }

    fn share(changes: &[Change], change: Change) -> f64 {
        changes.iter().filter(|one| **one == change).count() as f64 / changes.len() as f64
    }

    #[test]
    fn chance_is_no_change() {
        for sd in [0.02, 0.05, 0.1, 0.15] {
            // Twenty histories of ten runs, with all figures of each.
            let all = changes(1..20 * FIGURES as u64 + 1, 9, sd, 1.0, Better::Lower);
            assert!(share(&all, Change::Worse) < f64::EPSILON, "sd {sd}");
            // In the long run, one figure alone is wrong at most so often: the binomial's own spread is three times its root.
            let long = share(&changes(0..6_000, 9, sd, 1.0, Better::Lower), Change::Worse);
            let allowed = FALSE_ALARM / FIGURES as f64;
            assert!(long <= allowed + 3.0 * (allowed / 6_000.0).sqrt(), "sd {sd}: {long}");
        }
    }

    #[test]
    fn what_a_fault_does_is_found() {
        assert_eq!(changes(0..20, 9, 0.05, 3.0, Better::Lower), [Change::Worse; 20]);
        assert_eq!(changes(0..20, 30, 0.05, 0.7, Better::Higher), [Change::Worse; 20]);
        assert_eq!(changes(0..20, 9, 0.05, 3.0, Better::Higher), [Change::Better; 20]);
    }

    #[test]
    fn how_often_a_change_is_found() {
        // docs/history.md has this table.
        let found = |earlier, factor| {
            format!("{:3.0} %", 100.0 * share(&changes(0..400, earlier, 0.05, factor, Better::Higher), Change::Worse))
        };
        let row = |earlier| {
            let row: Vec<String> = [0.9, 0.8, 0.7, 0.5, 0.33].map(|factor| found(earlier, factor)).into();
            format!("{earlier:2} earlier: {}", row.join(" "))
        };
        insta::assert_snapshot!([3, 5, 9, 20, 30].map(row).join("\n"));
    }

    #[test]
    fn a_run_is_not_surer_than_it_claims() {
        let alike = [Measured { value: 100.0, interval: Some((80.0, 125.0)) }; 5];
        let newest = |value| Measured { value, interval: None };
        let judged = |value| judge(newest(value), &alike, Better::Lower, 1).unwrap().change;
        assert_eq!((judged(150.0), judged(400.0)), (Change::Same, Change::Worse));
        let exact = [Measured { value: 100.0, interval: None }; 5];
        let judged = |value| judge(newest(value), &exact, Better::Lower, 1).unwrap().change;
        // What does not matter is no change, although it is sure.
        assert_eq!((judged(104.0), judged(106.0), judged(90.0)), (Change::Same, Change::Worse, Change::Better));
        assert_eq!(judge(newest(100.0), &exact[..2], Better::Lower, 1), None);
        assert_eq!(judge(newest(0.0), &exact, Better::Lower, 1), None);
    }
}
