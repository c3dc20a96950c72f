//! The Universal Scalability Law of N. J. Gunther, "Guerrilla Capacity Planning" (2007), chapter 4-6, fitted to throughput.

use crate::{Level, Report};
use serde::{Deserialize, Serialize};

/// Fewer different levels do not tell three parameters and whether they fit.
const LEAST_LEVELS: usize = 6;

/// A peak beyond so many times the highest concurrency is not told by the data.
const FAR: f64 = 2.0;

/// How much of the throughput's variance the law must explain.
const LEAST_R_SQUARED: f64 = 0.9;

/// The fit, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usl {
    /// It was fitted.
    Fitted(Fit),
    /// It was not, and why.
    Refused(String),
}

/// X(N) = λ N / (1 + σ (N − 1) + κ N (N − 1)) over concurrency N.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Messages a second of one connection alone.
    pub lambda: Estimate,
    /// Contention: the part of the work that is done one after another.
    pub sigma: Estimate,
    /// Coherency: what each pair of connections costs.
    pub kappa: Estimate,
    /// The concurrency with the highest throughput, √((1 − σ) / κ); absent where the data do not tell it: it lies more than twice as far
    /// as was measured, or κ may be 0.
    pub peak_concurrency: Option<f64>,
    /// Messages a second there.
    pub peak_per_sec: Option<f64>,
    /// The part of the variance of throughput that the law explains.
    pub r_squared: f64,
    /// What was measured less what the law gives, messages a second, in the order of `points`.
    pub residuals: Vec<f64>,
    /// Concurrency and messages delivered a second: what it was fitted to.
    pub points: Vec<(f64, f64)>,
}

/// A parameter with its standard error, from the curvature of the sum of squares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value that fits best.
    pub value: f64,
    /// Its standard error; 0 for a parameter that stands at its limit of 0.
    pub standard_error: f64,
}

impl Default for Usl {
    fn default() -> Self {
        Self::Refused("no level has been measured yet".to_owned())
    }
}

impl Fit {
    /// The throughput that the law gives at a concurrency, messages a second.
    pub fn at(&self, concurrency: f64) -> f64 {
        throughput(concurrency, [self.lambda.value, self.sigma.value, self.kappa.value])
    }
}

impl Usl {
    /// The fit, if there is one.
    pub fn fit(&self) -> Option<&Fit> {
        match self {
            Self::Fitted(fit) => Some(fit),
            Self::Refused(_) => None,
        }
    }

    pub(crate) fn of(report: &Report) -> Self {
        if report.is_by_rate() {
            return Self::Refused("the law is about concurrency, and this is a sweep over rates".to_owned());
        }
        let point = |level: &Level| Some((f64::from(level.load.concurrency?), level.delivered_per_sec()?));
        Self::fit_to(&report.levels.iter().filter_map(point).collect::<Vec<_>>())
    }

    /// Fits it to concurrency and throughput.
    fn fit_to(points: &[(f64, f64)]) -> Self {
        let mut different: Vec<f64> = points.iter().map(|(n, _)| *n).collect();
        different.sort_by(f64::total_cmp);
        different.dedup();
        if different.len() < LEAST_LEVELS {
            return Self::Refused(format!(
                "it takes at least {LEAST_LEVELS} different concurrencies to fit three parameters and see whether they hold; here are {}",
                different.len()
            ));
        }
        let (first, last) = (different[0], different[different.len() - 1]);
        if last < 2.0 * first {
            return Self::Refused(format!(
                "concurrency from {first} to {last} is too short a stretch of the curve: sweep at least twice as far as where it begins"
            ));
        }
        let Some(fit) = least_squares(points) else {
            return Self::Refused("no positive throughput to fit".to_owned());
        };
        if fit.r_squared < LEAST_R_SQUARED {
            return Self::Refused(format!(
                "the law explains only {:.0} % of the variance of throughput: the levels are too noisy, or something else happens here",
                fit.r_squared.max(0.0) * 100.0
            ));
        }
        let uncertain = fit.lambda.standard_error > 0.5 * fit.lambda.value;
        if uncertain {
            return Self::Refused("the levels do not tell the throughput of one connection from contention: begin the sweep at a lower concurrency".to_owned());
        }
        Self::Fitted(fit)
    }
}

fn throughput(n: f64, [lambda, sigma, kappa]: [f64; 3]) -> f64 {
    lambda * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
}

/// The parameters with the smallest sum of squares, none of them below 0.
fn least_squares(points: &[(f64, f64)]) -> Option<Fit> {
    let start = linearised(points)?;
    let sides = [[true, true], [true, false], [false, true], [false, false]];
    // A parameter that would be negative stands at 0: of all such choices the best is taken.
    let (parameters, free) = sides
        .into_iter()
        .map(|[sigma, kappa]| {
            let free = [true, sigma, kappa];
            let begin =
                [start[0], if sigma { start[1].max(1e-6) } else { 0.0 }, if kappa { start[2].max(1e-9) } else { 0.0 }];
            (descend(points, begin, free), free)
        })
        .filter(|(parameters, _)| {
            parameters.iter().all(|value| value.is_finite() && *value >= 0.0) && parameters[0] > 0.0
        })
        .min_by(|(one, _), (other, _)| squares(points, *one).total_cmp(&squares(points, *other)))?;
    Some(describe(points, parameters, free))
}

/// C(N) = N / X(N) = (1 + σ (N − 1) + κ N (N − 1)) / λ is linear in 1/λ, σ/λ and κ/λ: close enough to begin with.
fn linearised(points: &[(f64, f64)]) -> Option<[f64; 3]> {
    let rows: Vec<([f64; 3], f64)> =
        points.iter().filter(|(_, x)| *x > 0.0).map(|&(n, x)| ([1.0, n - 1.0, n * (n - 1.0)], n / x)).collect();
    let [a, b, c] = solve(normal_equations(rows.into_iter()), [true; 3])?;
    (a > 0.0).then(|| [1.0 / a, b / a, c / a])
}

/// The method of K. Levenberg (1944) and D. Marquardt (1963) over the free parameters.
fn descend(points: &[(f64, f64)], begin: [f64; 3], free: [bool; 3]) -> [f64; 3] {
    let mut here = begin;
    let mut damping = 1e-3;
    for _ in 0..500 {
        let (mut matrix, vector) =
            normal_equations(points.iter().map(|&(n, x)| (gradient(n, here), x - throughput(n, here))));
        for (index, row) in matrix.iter_mut().enumerate() {
            row[index] *= 1.0 + damping;
        }
        let Some(step) = solve((matrix, vector), free) else { break };
        let there: [f64; 3] = std::array::from_fn(|index| here[index] + step[index]);
        if squares(points, there) < squares(points, here) {
            let small = (0..3).all(|index| step[index].abs() <= 1e-12 * (here[index].abs() + 1e-12));
            here = there;
            damping = (damping / 10.0).max(1e-12);
            if small {
                break;
            }
        } else {
            damping *= 10.0;
            if damping > 1e12 {
                break;
            }
        }
    }
    here
}

fn gradient(n: f64, [lambda, sigma, kappa]: [f64; 3]) -> [f64; 3] {
    let bottom = 1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0);
    let common = -lambda * n / (bottom * bottom);
    [n / bottom, common * (n - 1.0), common * n * (n - 1.0)]
}

fn squares(points: &[(f64, f64)], parameters: [f64; 3]) -> f64 {
    points.iter().map(|&(n, x)| (x - throughput(n, parameters)).powi(2)).sum()
}

/// `JᵀJ` and `Jᵀr` of rows of `J` with their `r`.
fn normal_equations(rows: impl Iterator<Item = ([f64; 3], f64)>) -> ([[f64; 3]; 3], [f64; 3]) {
    let (mut matrix, mut vector) = ([[0.0; 3]; 3], [0.0; 3]);
    for (row, value) in rows {
        for i in 0..3 {
            vector[i] += row[i] * value;
            for j in 0..3 {
                matrix[i][j] += row[i] * row[j];
            }
        }
    }
    (matrix, vector)
}

/// Solves three equations in the free unknowns, the others being 0; `None` where they do not tell them. The unknowns differ by many powers of ten:
/// rows and columns are scaled to a diagonal of ones, and the largest pivot is taken.
fn solve((matrix, vector): ([[f64; 3]; 3], [f64; 3]), free: [bool; 3]) -> Option<[f64; 3]> {
    let unknowns: Vec<usize> = (0..3).filter(|&index| free[index]).collect();
    let scale: [f64; 3] = std::array::from_fn(|index| matrix[index][index].sqrt());
    if unknowns.iter().any(|&index| scale[index] <= 0.0 || !scale[index].is_finite()) {
        return None;
    }
    let mut rows: Vec<Vec<f64>> = unknowns
        .iter()
        .map(|&i| {
            let left = unknowns.iter().map(|&j| matrix[i][j] / (scale[i] * scale[j]));
            left.chain([vector[i] / scale[i]]).collect()
        })
        .collect();
    let size = unknowns.len();
    for column in 0..size {
        let pivot =
            (column..size).max_by(|&one, &other| rows[one][column].abs().total_cmp(&rows[other][column].abs()))?;
        rows.swap(column, pivot);
        if rows[column][column].abs() < 1e-12 {
            return None;
        }
        let (above, below) = rows.split_at_mut(column + 1);
        let pivot = &above[column];
        for row in below {
            let factor = row[column] / pivot[column];
            row.iter_mut().zip(pivot).skip(column).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut solution = [0.0; 3];
    for (column, &unknown) in unknowns.iter().enumerate().rev() {
        let known: f64 = (column + 1..size)
            .map(|other| rows[column][other] * solution[unknowns[other]] * scale[unknowns[other]])
            .sum();
        solution[unknown] = (rows[column][size] - known) / rows[column][column] / scale[unknown];
    }
    Some(solution)
}

fn describe(points: &[(f64, f64)], parameters: [f64; 3], free: [bool; 3]) -> Fit {
    let residuals: Vec<f64> = points.iter().map(|&(n, x)| x - throughput(n, parameters)).collect();
    let mean = points.iter().map(|(_, x)| x).sum::<f64>() / points.len() as f64;
    let total: f64 = points.iter().map(|(_, x)| (x - mean).powi(2)).sum();
    let unexplained = squares(points, parameters);
    let freedom = points.len().saturating_sub(free.iter().filter(|&&free| free).count()).max(1) as f64;
    let (matrix, _) = normal_equations(points.iter().map(|&(n, _)| (gradient(n, parameters), 0.0)));
    // The diagonal of the inverse of `JᵀJ`, times the variance of the residuals.
    let error = |index: usize| {
        let unit: [f64; 3] = std::array::from_fn(|other| if other == index { 1.0 } else { 0.0 });
        let variance =
            if free[index] { solve((matrix, unit), free).map_or(f64::INFINITY, |column| column[index]) } else { 0.0 };
        (variance * unexplained / freedom).sqrt()
    };
    let estimate = |index: usize| Estimate { value: parameters[index], standard_error: finite(error(index)) };
    let [_, sigma, kappa] = parameters;
    let highest = points.iter().map(|(n, _)| *n).fold(0.0, f64::max);
    let told = kappa > 0.0 && kappa > 2.0 * error(2) && sigma < 1.0;
    let peak = told.then(|| ((1.0 - sigma) / kappa).sqrt()).filter(|&peak| peak <= FAR * highest);
    Fit {
        lambda: estimate(0),
        sigma: estimate(1),
        kappa: estimate(2),
        peak_concurrency: peak,
        peak_per_sec: peak.map(|peak| throughput(peak, parameters)),
        r_squared: if total > 0.0 { 1.0 - unexplained / total } else { 0.0 },
        residuals,
        points: points.to_vec(),
    }
}

/// JSON knows no infinity.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(parameters: [f64; 3], levels: impl Iterator<Item = u32>) -> Vec<(f64, f64)> {
        levels.map(|n| (f64::from(n), throughput(f64::from(n), parameters))).collect()
    }

    #[test]
    fn the_curve_that_made_the_points_is_found() {
        let usl = Usl::fit_to(&points([8000.0, 0.05, 0.002], 1..=32));
        let fit = usl.fit().unwrap();
        assert!((fit.lambda.value - 8000.0).abs() < 1e-3 && (fit.sigma.value - 0.05).abs() < 1e-8);
        assert!((fit.kappa.value - 0.002).abs() < 1e-9, "{fit:?}");
        assert!((fit.peak_concurrency.unwrap() - (0.95f64 / 0.002).sqrt()).abs() < 1e-3);
        assert!(fit.r_squared > 0.999_999);
    }

    #[test]
    fn throughput_without_a_peak_has_none() {
        let amdahl = Usl::fit_to(&points([5000.0, 0.1, 0.0], 1..=20));
        let fit = amdahl.fit().unwrap();
        assert!(
            (fit.sigma.value - 0.1).abs() < 1e-6 && fit.kappa.value < 1e-8 && fit.peak_concurrency.is_none(),
            "{fit:?}"
        );
    }

    #[test]
    fn it_is_refused_where_the_levels_do_not_tell_it() {
        let why = |points: Vec<(f64, f64)>| match Usl::fit_to(&points) {
            Usl::Refused(why) => why,
            Usl::Fitted(fit) => panic!("{fit:?}"),
        };
        assert!(why(points([1.0, 0.1, 0.0], 1..=5)).contains("here are 5"));
        assert!(why(points([1.0, 0.1, 0.0], 20..=30)).contains("too short a stretch"));
        let noise = (1..=12u32).map(|n| (f64::from(n), if n % 2 == 0 { 5000.0 } else { 900.0 })).collect();
        assert!(why(noise).contains("of the variance"));
        assert!(why(Vec::new()).contains("here are 0"));
    }

    proptest! {
        #[test]
        fn any_curve_is_found_again(lambda in 100.0f64..20_000.0, sigma in 0.0f64..0.5, kappa in 0.0f64..0.01) {
            let usl = Usl::fit_to(&points([lambda, sigma, kappa], 1..=24));
            let fit = usl.fit().unwrap();
            for &(n, x) in &fit.points {
                prop_assert!((fit.at(n) / x - 1.0).abs() < 1e-3, "{} instead of {x}: {fit:?}", fit.at(n));
            }
        }
    }
}
