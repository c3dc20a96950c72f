//! How much of a curve over the levels is chance, and what is left of a finding when the curve is drawn again.

use super::Spread;
use crate::Level;
use crate::statistics::Random;

/// How often a curve is drawn again.
const RESAMPLES: u32 = 500;

/// Half the width of a 95 % interval, in standard deviations.
const HALF_WIDTH: f64 = 1.96;

/// A curve over the levels of a sweep, in rising order.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    /// Rates, or else concurrencies.
    pub(crate) positions: Vec<f64>,
    /// The values; logarithms where their noise is in proportion to them.
    pub(crate) values: Vec<f64>,
    /// The standard deviation of each value.
    deviations: Vec<f64>,
}

impl Curve {
    /// The medians of `value` at each level. Each has the noise that its own repetitions show, that its `interval` shows (its ends), or that neighbouring levels
    /// show among themselves, whichever is most.
    pub(crate) fn of(
        levels: &[Level],
        value: impl Fn(&Level) -> Option<f64>,
        interval: impl Fn(&Level) -> Option<(f64, f64)>,
    ) -> Self {
        let (mut positions, mut values, mut deviations) = (Vec::new(), Vec::new(), Vec::new());
        for group in levels.chunk_by(|one, other| one.load.position() == other.load.position()) {
            let all: Vec<f64> = group.iter().filter_map(&value).collect();
            let (Some(position), Some(spread)) = (group[0].load.position(), Spread::of(all.iter().copied())) else {
                continue;
            };
            let widths = group.iter().filter_map(&interval).map(|(low, high)| (high - low) / 2.0 / HALF_WIDTH);
            let within = Spread::of(widths).map_or(0.0, |spread| spread.median);
            positions.push(position);
            values.push(spread.median);
            deviations.push(within.max(deviation(&all)) / (all.len() as f64).sqrt());
        }
        let between = roughness(&values);
        for deviation in &mut deviations {
            *deviation = deviation.max(between);
        }
        Self { positions, values, deviations }
    }

    /// The same without one of its levels.
    pub(crate) fn without(&self, left_out: usize) -> Self {
        let mut rest = self.clone();
        for column in [&mut rest.positions, &mut rest.values, &mut rest.deviations] {
            column.remove(left_out);
        }
        rest
    }

    /// The share of resamples of which `holds` is true.
    pub(crate) fn share(&self, mut holds: impl FnMut(&[f64]) -> bool) -> f64 {
        let mut random = Random::new(20_261_127);
        let held = (0..RESAMPLES).filter(|_| holds(&self.drawn(&mut random))).count();
        held as f64 / f64::from(RESAMPLES)
    }

    /// The values as they might have come out.
    fn drawn(&self, random: &mut Random) -> Vec<f64> {
        self.values.iter().zip(&self.deviations).map(|(value, deviation)| value + deviation * random.normal()).collect()
    }
}

/// In which share of resamples each of these curves, over the same levels, comes out highest by `measure`.
pub(crate) fn shares_of_the_highest(curves: &[Curve], measure: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut random = Random::new(20_261_127);
    let mut won = vec![0u32; curves.len()];
    for _ in 0..RESAMPLES {
        let measured = curves.iter().map(|curve| measure(&curve.drawn(&mut random)));
        if let Some((highest, _)) = measured.enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other)) {
            won[highest] += 1;
        }
    }
    won.into_iter().map(|won| f64::from(won) / f64::from(RESAMPLES)).collect()
}

/// The standard deviation of repetitions; 0 of fewer than two.
fn deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if values.len() < 2 { 0.0 } else { (squares / (count - 1.0)).sqrt() }
}

/// The standard deviation of the noise between neighbouring levels. A straight line has second differences of zero, those of noise with variance v have
/// the variance 6 v; the median of their sizes, unlike their mean, does not see a single bend (J. Rice, Annals of Statistics 12, 1984; P. Rousseeuw &
/// C. Croux, JASA 88, 1993, for the factor).
fn roughness(values: &[f64]) -> f64 {
    let sizes = values.windows(3).map(|three| (three[0] - 2.0 * three[1] + three[2]).abs());
    Spread::of(sizes).map_or(0.0, |spread| 1.4826 * spread.median / 6f64.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bend_is_no_noise_and_noise_is_found_beside_one() {
        let hinge: Vec<f64> = (0..20).map(|n| f64::from(n).min(8.0)).collect();
        assert!(roughness(&hinge) < 1e-9);
        let mut random = Random::new(1);
        let noisy: Vec<f64> = (0..400).map(|n| f64::from(n).min(80.0) + 0.5 * random.normal()).collect();
        assert!((roughness(&noisy) - 0.5).abs() < 0.1, "{}", roughness(&noisy));
    }
}
