//! Confidence intervals of a ratio of two positive figures that were measured apart from each other. Pure.

use super::student;

/// A figure with the ends of its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounded {
    /// Its lower end.
    pub low: f64,
    /// The figure itself.
    pub value: f64,
    /// Its upper end.
    pub high: f64,
}

/// The ratio of what each side's own interval tells, or `None` where a number is not above 0.
///
/// The method is MOVER, which recovers the variances from the intervals: G. Y. Zou & A. Donner (2008), "Construction of confidence limits about
/// effect measures: a general approach", Statistics in Medicine 27, 1693-1702; here for the difference of logarithms.
#[must_use]
pub fn mover(from: Bounded, to: Bounded) -> Option<Bounded> {
    let positive =
        |side: Bounded| side.low > 0.0 && side.low <= side.value && side.value <= side.high && side.high.is_finite();
    if !positive(from) || !positive(to) {
        return None;
    }
    let difference = to.value.ln() - from.value.ln();
    let down = (to.value / to.low).ln().hypot((from.high / from.value).ln());
    let up = (to.high / to.value).ln().hypot((from.value / from.low).ln());
    Some(Bounded { low: (difference - down).exp(), value: difference.exp(), high: (difference + up).exp() })
}

/// The ratio of geometric means of repetitions, from how far they lie apart; `None` where there are fewer than two on a side, one is not above
/// 0, or all are alike.
///
/// The method is that of B. L. Welch (1947), "The generalization of 'Student's' problem when several different population variances are involved",
/// Biometrika 34, 28-35, applied to logarithms.
#[must_use]
pub fn welch(from: &[f64], to: &[f64]) -> Option<Bounded> {
    let (from, to) = (Logs::of(from)?, Logs::of(to)?);
    let variance = from.of_mean + to.of_mean;
    if variance <= 0.0 {
        return None;
    }
    let freedom = variance.powi(2) / (from.of_mean.powi(2) / from.freedom + to.of_mean.powi(2) / to.freedom);
    let half = student::two_sided_95(freedom) * variance.sqrt();
    let difference = to.mean - from.mean;
    Some(Bounded { low: (difference - half).exp(), value: difference.exp(), high: (difference + half).exp() })
}

/// Logarithms of repetitions.
struct Logs {
    mean: f64,
    /// The variance of the mean.
    of_mean: f64,
    freedom: f64,
}

impl Logs {
    fn of(values: &[f64]) -> Option<Self> {
        if values.len() < 2 || values.iter().any(|value| *value <= 0.0 || !value.is_finite()) {
            return None;
        }
        let count = values.len() as f64;
        let mean = values.iter().map(|value| value.ln()).sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value.ln() - mean).powi(2)).sum();
        Some(Self { mean, of_mean: squares / (count - 1.0) / count, freedom: count - 1.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Distribution;
    use crate::statistics::Random;

    fn close(found: Option<Bounded>, [low, value, high]: [f64; 3]) {
        let found = found.unwrap();
        for (found, expected) in [(found.low, low), (found.value, value), (found.high, high)] {
            assert!((found / expected - 1.0).abs() < 1e-3, "{found} instead of {expected}");
        }
    }

    #[test]
    fn intervals_are_combined() {
        // Both sides reach a tenth to each side on the scale of logarithms: the difference reaches √2 as far.
        let side = |value: f64| Bounded { low: value * (-0.1f64).exp(), value, high: value * 0.1f64.exp() };
        let reach = (0.1 * 2f64.sqrt()).exp();
        close(mover(side(400.0), side(200.0)), [0.5 / reach, 0.5, 0.5 * reach]);
        // What is sure on one side leaves the other's interval, upside down.
        let sure = |value| Bounded { low: value, value, high: value };
        close(mover(Bounded { low: 50.0, value: 100.0, high: 400.0 }, sure(100.0)), [0.25, 1.0, 2.0]);
    }

    #[test]
    fn what_has_no_logarithm_has_no_ratio() {
        let side = |low, value, high| Bounded { low, value, high };
        assert_eq!(mover(side(0.0, 1.0, 2.0), side(1.0, 2.0, 3.0)), None);
        assert_eq!(mover(side(1.0, 2.0, f64::INFINITY), side(1.0, 2.0, 3.0)), None);
        assert_eq!(welch(&[1.0, 0.0, 2.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(welch(&[1.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(welch(&[2.0, 2.0], &[3.0, 3.0]), None);
    }

    #[test]
    fn repetitions_tell_by_how_far_they_lie_apart() {
        // Logarithms 1, 2, 3 and 4, 5, 6: each mean has the variance 1/3, and there are 4 degrees of freedom.
        let e = |powers: [i32; 3]| powers.map(|power| 1f64.exp().powi(power));
        let half = 2.776_45 * (2.0f64 / 3.0).sqrt();
        close(welch(&e([1, 2, 3]), &e([4, 5, 6])), [(3.0 - half).exp(), 3f64.exp(), (3.0 + half).exp()]);
    }

    /// A Pareto-like latency in µs: 1 ms and more, with a long tail.
    #[allow(clippy::cast_possible_truncation)]
    fn latency(random: &mut Random, factor: f64) -> i64 {
        (1000.0 * factor * (1.0 - random.uniform()).max(f64::EPSILON).powf(-0.4) * (1.0 + 0.3 * random.uniform()))
            .round() as i64
    }

    /// How often the interval holds the true ratio, over simulated pairs of measurements.
    fn coverage(pick: fn(&Distribution) -> (Option<i64>, Option<crate::Interval>), repetitions: usize) -> f64 {
        const PAIRS: u32 = 400;
        let mut random = Random::new(42);
        let mut held = 0;
        for _ in 0..PAIRS {
            let mut sides = [1.0, 0.7].map(|factor| {
                let measure = |_: usize| {
                    Distribution::of(&(0..1500).map(|_| latency(&mut random, factor)).collect::<Vec<_>>(), &[])
                };
                (0..repetitions).map(measure).collect::<Vec<_>>()
            });
            let ratio = if repetitions == 1 {
                let side = |side: &[Distribution]| {
                    let (value, interval) = pick(&side[0]);
                    let interval = interval.unwrap();
                    Bounded {
                        low: interval.low_us as f64,
                        value: value.unwrap() as f64,
                        high: interval.high_us.unwrap() as f64,
                    }
                };
                mover(side(&sides[0]), side(&sides[1]))
            } else {
                let values =
                    sides.each_mut().map(|side| side.iter().map(|one| pick(one).0.unwrap() as f64).collect::<Vec<_>>());
                welch(&values[0], &values[1])
            };
            let ratio = ratio.unwrap();
            held += u32::from((ratio.low..=ratio.high).contains(&0.7));
        }
        f64::from(held) / f64::from(PAIRS)
    }

    #[test]
    fn about_95_of_100_intervals_hold_the_true_ratio() {
        // The standard error of a coverage over 400 pairs is 1.1 %.
        for (name, found) in [
            ("p50", coverage(|one| (one.p50_us, one.ci95.p50), 1)),
            ("p99", coverage(|one| (one.p99_us, one.ci95.p99), 1)),
            ("p99 of 4 repetitions", coverage(|one| (one.p99_us, one.ci95.p99), 4)),
        ] {
            assert!((0.92..=0.985).contains(&found), "{name}: {found}");
        }
    }
}
