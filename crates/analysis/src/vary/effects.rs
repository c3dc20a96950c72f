//! What one parameter changes while the others stay. Pure.
//!
//! On the scale of logarithms, the effect of a value against the first one is the mean, over all settings of the other parameters that have both, of the
//! difference of the combinations' means (the main effect of a factorial design: G. E. P. Box, J. S. Hunter & W. G. Hunter, "Statistics for
//! Experimenters", 2nd edition 2005, chapter 5). Its variance comes from how far repetitions lie apart; its interval is Student's t.

use super::{Averaged, Varied};
use crate::statistics::student;
use serde::Serialize;

/// What a value of a parameter changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// The parameter.
    pub param: String,
    /// The value.
    pub value: String,
    /// The first value, that it is compared with.
    pub against: String,
    /// The figure with the value, as a multiple of that with the first one.
    pub ratio: f64,
    /// The 95 % interval of that; absent where nothing was repeated.
    pub interval: Option<(f64, f64)>,
    /// Whether the interval excludes 1.
    pub told_apart: bool,
    /// The least and the most that it is, over the settings of the other parameters.
    pub range: (f64, f64),
    /// Whether that range is wider than chance explains: what it changes depends on the other parameters.
    pub depends: bool,
    /// The part that this parameter has in all that differs between combinations, 0 to 1.
    pub share: f64,
}

/// The effects of all parameters on a figure.
pub(super) fn all(varied: &Varied, figure: &str) -> Vec<Effect> {
    let spread = varied.variance(figure);
    let mut effects = Vec::new();
    for (at, (param, values)) in varied.params.iter().enumerate() {
        let share = share(varied, figure, at);
        let Some((against, others)) = values.split_first() else { continue };
        for value in others {
            let pairs = pairs(varied, figure, at, against, value);
            let differences: Vec<f64> = pairs.iter().map(|(one, other)| (other.mean / one.mean).ln()).collect();
            let count = differences.len() as f64;
            if differences.is_empty() {
                continue;
            }
            let mean = differences.iter().sum::<f64>() / count;
            let parts: f64 =
                pairs.iter().map(|(one, other)| 1.0 / one.values.len() as f64 + 1.0 / other.values.len() as f64).sum();
            let half =
                spread.map(|(variance, freedom)| student::two_sided_95(freedom) * (variance * parts).sqrt() / count);
            let one =
                spread.map(|(variance, freedom)| student::two_sided_95(freedom) * (variance * parts / count).sqrt());
            let furthest = differences.iter().map(|difference| (difference - mean).abs()).fold(0.0, f64::max);
            let interval = half.map(|half| ((mean - half).exp(), (mean + half).exp()));
            effects.push(Effect {
                param: param.clone(),
                value: value.clone(),
                against: against.clone(),
                ratio: mean.exp(),
                interval,
                told_apart: interval.is_some_and(|(low, high)| low > 1.0 || high < 1.0),
                range: (
                    differences.iter().copied().fold(f64::INFINITY, f64::min).exp(),
                    differences.iter().copied().fold(f64::NEG_INFINITY, f64::max).exp(),
                ),
                depends: one.is_some_and(|one| furthest > one),
                share,
            });
        }
    }
    effects
}

/// Combinations that differ in this parameter alone: with the first value, and with the other.
fn pairs<'a>(
    varied: &'a Varied,
    figure: &str,
    at: usize,
    first: &str,
    other: &str,
) -> Vec<(&'a Averaged, &'a Averaged)> {
    let figure_of = |one: &'a super::Combination| one.figures.get(figure).filter(|averaged| averaged.is_measured());
    let rest = |values: &[String]| [&values[..at], &values[at + 1..]].concat();
    varied
        .combinations
        .iter()
        .filter(|one| one.values[at] == first)
        .filter_map(|one| {
            let twin = varied
                .combinations
                .iter()
                .find(|twin| twin.values[at] == other && rest(&twin.values) == rest(&one.values))?;
            Some((figure_of(one)?, figure_of(twin)?))
        })
        .collect()
}

/// The part that a parameter has in the sum of squares between combinations.
fn share(varied: &Varied, figure: &str, at: usize) -> f64 {
    let means: Vec<(&str, f64)> = varied
        .combinations
        .iter()
        .filter_map(|one| {
            let averaged = one.figures.get(figure).filter(|averaged| averaged.is_measured())?;
            Some((one.values[at].as_str(), averaged.mean.ln()))
        })
        .collect();
    let all = means.iter().map(|(_, mean)| mean).sum::<f64>() / means.len().max(1) as f64;
    let total: f64 = means.iter().map(|(_, mean)| (mean - all).powi(2)).sum();
    let of_value = |value: &str| {
        let of: Vec<f64> = means.iter().filter(|(other, _)| *other == value).map(|(_, mean)| *mean).collect();
        let mean = of.iter().sum::<f64>() / of.len().max(1) as f64;
        of.len() as f64 * (mean - all).powi(2)
    };
    let between: f64 = varied.params[at].1.iter().map(|value| of_value(value)).sum();
    if total > 0.0 { (between / total).clamp(0.0, 1.0) } else { 0.0 }
}

/// The effects in words, the parameter that matters most first.
pub(super) fn told(effects: &[Effect]) -> Vec<String> {
    let mut params: Vec<(&str, f64)> = Vec::new();
    for effect in effects {
        if !params.iter().any(|(param, _)| *param == effect.param) {
            params.push((&effect.param, effect.share));
        }
    }
    params.sort_by(|one, other| other.1.total_cmp(&one.1));
    params
        .iter()
        .map(|(param, share)| {
            let of: Vec<&Effect> = effects.iter().filter(|effect| effect.param == *param).collect();
            let furthest = |one: &&&Effect, other: &&&Effect| one.ratio.ln().abs().total_cmp(&other.ratio.ln().abs());
            let Some(most) = of.iter().max_by(furthest) else { return String::new() };
            let what = format!("{} is {:.2} × {}", most.value, most.ratio, most.against);
            match most.interval {
                None => format!("{param}: {what}; run each combination several times (`repeat`) for an interval."),
                Some((low, high)) if !most.told_apart => {
                    format!("{param}: no difference that can be told from chance: {what} (95 % interval {low:.2} to {high:.2}).")
                }
                Some((low, high)) => {
                    let range = format!("; that depends on the other parameters: from {:.2} to {:.2} ×", most.range.0, most.range.1);
                    let range = if most.depends { range } else { String::new() };
                    format!("{param} accounts for {:.0} % of what differs: {what} (95 % interval {low:.2} to {high:.2}){range}.", share * 100.0)
                }
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::vary::Varied;
    use crate::vary::tests::runs;

    #[test]
    fn effects_are_found_with_their_intervals() {
        let (params, runs) = runs(3);
        let varied = Varied::new("workers", &params, 18, &runs);
        for (effect, truth) in varied.effects.iter().zip([2.0, 4.0, 3.0]) {
            let (low, high) = effect.interval.unwrap();
            assert!(low < truth && truth < high && effect.told_apart && !effect.depends, "{effect:?}");
        }
        let shares: f64 = varied.effects[1].share + varied.effects[2].share;
        assert!((0.98..=1.0).contains(&shares), "{shares}");
    }

    #[test]
    fn what_depends_on_others_is_told() {
        let (params, mut runs) = runs(3);
        for run in &mut runs {
            // A batch of 100 helps one worker alone.
            if run.combination[0].1 != "1" && run.combination[1].1 == "100" {
                run.figures[0].value /= 3.0;
            }
        }
        let varied = Varied::new("workers", &params, 18, &runs);
        let batch = varied.effects.last().unwrap();
        assert!(batch.depends && batch.range.1 > 2.5 && batch.range.0 < 1.2, "{batch:?}");
    }
}
