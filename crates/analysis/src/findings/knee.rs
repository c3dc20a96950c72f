//! Where a curve bends: Kneedle, by V. Satopää, J. Albrecht, D. Irwin and B. Raghavan, "Finding a 'Kneedle' in a Haystack", ICDCS Workshops 2011.

use super::noise::Curve;
use crate::{Level, Report};
use serde::{Deserialize, Serialize};

/// How far a difference must fall behind its maximum to make that a knee, in mean distances between levels: the paper's sensitivity S.
const SENSITIVITY: f64 = 1.0;

/// Fewer points have no bend.
const LEAST_POINTS: usize = 5;

/// A knee is told where at least this share of resamples have it there, or at a neighbouring level.
const LEAST_SHARE: f64 = 0.5;

/// A bend of a curve over the levels of a sweep that is more than chance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// Of which curve: `throughput` (more load brings less and less) or `arrival_p99` (more load costs more and more).
    pub of: String,
    /// At which level: its rate, or else its concurrency.
    pub position: f64,
    /// The curve's value there: messages delivered a second, or µs.
    pub value: f64,
    /// In which share of resamples it lies there or at a neighbouring level.
    #[serde(default)]
    pub share: f64,
}

/// How a curve runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Steep first, then flat.
    Concave,
    /// Flat first, then steep.
    Convex,
}

impl Knee {
    pub(crate) fn all(report: &Report) -> Vec<Self> {
        let throughput = Curve::of(&report.levels, Level::delivered_per_sec, |_| None);
        // Its noise is in proportion to it.
        let p99 = |level: &Level| Some((level.arrival.p99_us? as f64).max(1.0).ln());
        let interval = |level: &Level| {
            let interval = level.arrival.ci95.p99?;
            Some(((interval.low_us as f64).max(1.0).ln(), (interval.high_us? as f64).max(1.0).ln()))
        };
        let latency = Curve::of(&report.levels, p99, interval);
        let knee = |of: &str, (position, value, share)| Self { of: of.to_owned(), position, value, share };
        let throughput = stable(&throughput, Shape::Concave, |value| value).map(|found| knee("throughput", found));
        let latency = stable(&latency, Shape::Convex, f64::exp).map(|found| knee("arrival_p99", found));
        throughput.into_iter().chain(latency).collect()
    }
}

/// The position, value and share of a knee that is more than chance: a curve that bends there explains the levels much better than a straight line, and
/// it stays there when the curve is drawn again. `plain` makes a value of what the curve holds.
fn stable(curve: &Curve, shape: Shape, plain: fn(f64) -> f64) -> Option<(f64, f64, f64)> {
    let find = |values: &[f64]| {
        let points: Vec<_> = curve.positions.iter().copied().zip(values.iter().copied().map(plain)).collect();
        kneedle(&points, shape)
    };
    let found = find(&curve.values)?;
    if !bends(curve, found, shape) || !outlasts_every_level(curve, found, shape, plain) {
        return None;
    }
    let is_near = |other: usize| other.abs_diff(found) <= 1;
    let share = curve.share(|values| find(values).is_some_and(is_near));
    (share >= LEAST_SHARE).then(|| (curve.positions[found], plain(curve.values[found]), share))
}

/// Whether the knee is still there, and still bends, without any one of the levels: an odd level at an end makes a bend of its own, which no noise between
/// the others tells of.
fn outlasts_every_level(curve: &Curve, knee: usize, shape: Shape, plain: fn(f64) -> f64) -> bool {
    let reach = curve.positions.windows(2).map(|two| two[1] - two[0]).fold(0.0, f64::max) * 2.0;
    (0..curve.positions.len()).filter(|left_out| *left_out != knee).all(|left_out| {
        let rest = curve.without(left_out);
        let points: Vec<_> = rest.positions.iter().copied().zip(rest.values.iter().copied().map(plain)).collect();
        kneedle(&points, shape).is_some_and(|other| {
            bends(&rest, other, shape) && (rest.positions[other] - curve.positions[knee]).abs() <= reach
        })
    })
}

/// Whether two lines that meet at the knee explain the levels so much better than one that it is no chance: an F test for one more parameter, whose
/// limit allows for the knee having been looked for at every level (D. W. K. Andrews, Econometrica 61, 1993).
fn bends(curve: &Curve, knee: usize, shape: Shape) -> bool {
    let count = curve.positions.len();
    if count < LEAST_POINTS {
        return false;
    }
    let freedom = (count - 3) as f64;
    let at = curve.positions[knee];
    let beyond: Vec<f64> = curve.positions.iter().map(|position| (position - at).max(0.0)).collect();
    // What a line leaves of both (Frisch, Waugh & Lovell): their slope is the change of slope at the knee.
    let (rest, beyond) = (detrended(&curve.positions, &curve.values), detrended(&curve.positions, &beyond));
    let product = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(one, other)| one * other).sum::<f64>();
    let bend = product(&rest, &beyond) / product(&beyond, &beyond);
    let explained = bend * product(&rest, &beyond);
    let unexplained = (product(&rest, &rest) - explained).max(f64::MIN_POSITIVE);
    let bends_so = if shape == Shape::Concave { bend < 0.0 } else { bend > 0.0 };
    bends_so && explained / (unexplained / freedom) > 12.0 + 60.0 / freedom
}

/// What a straight line by least squares leaves of the values.
fn detrended(positions: &[f64], values: &[f64]) -> Vec<f64> {
    let count = positions.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (x, y) = (mean(positions), mean(values));
    let pairs = || positions.iter().zip(values);
    let width: f64 = positions.iter().map(|position| (position - x).powi(2)).sum();
    let slope = pairs().map(|(position, value)| (position - x) * (value - y)).sum::<f64>() / width;
    pairs().map(|(position, value)| value - y - slope * (position - x)).collect()
}

/// The index of the knee of a rising curve, its points in rising order. Levels are few and already means of many messages: the paper's smoothing is left out.
fn kneedle(points: &[(f64, f64)], shape: Shape) -> Option<usize> {
    if points.len() < LEAST_POINTS {
        return None;
    }
    let range = |value: fn(&(f64, f64)) -> f64| {
        let (least, most) = points
            .iter()
            .map(value)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| (least.min(v), most.max(v)));
        (most > least).then_some((least, most - least))
    };
    let ((x0, width), (y0, height)) = (range(|p| p.0)?, range(|p| p.1)?);
    let differences: Vec<f64> = points
        .iter()
        .map(|&(x, y)| {
            let (x, y) = ((x - x0) / width, (y - y0) / height);
            if shape == Shape::Concave { y - x } else { x - y }
        })
        .collect();
    let threshold = SENSITIVITY / (points.len() - 1) as f64;
    let is_peak = |&index: &usize| {
        (index == 0 || differences[index] >= differences[index - 1])
            && differences[index] > *differences.get(index + 1).unwrap_or(&f64::NEG_INFINITY)
    };
    let best =
        (1..points.len() - 1).filter(is_peak).max_by(|&one, &other| differences[one].total_cmp(&differences[other]))?;
    // A line has no bend: the difference must rise above its ends' and fall below the threshold again.
    let falls = differences[best..].iter().any(|&difference| difference < differences[best] - threshold);
    (differences[best] > threshold && falls).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::report_of;
    use crate::statistics::Random;

    fn knee(levels: u32, shape: Shape, curve: fn(f64) -> f64) -> Option<u32> {
        let points: Vec<_> = (1..=levels).map(|n| (f64::from(n), curve(f64::from(n)))).collect();
        kneedle(&points, shape).map(|index| u32::try_from(index).unwrap() + 1)
    }

    #[test]
    fn the_example_of_the_paper() {
        // Figure 2 of the paper: y = -1 / (x + 0.1) + 5 on [0, 1], with its knee at 0.22.
        let curve: Vec<(f64, f64)> = (0..10).map(|i| f64::from(i) / 9.0).map(|x| (x, -1.0 / (x + 0.1) + 5.0)).collect();
        assert_eq!(kneedle(&curve, Shape::Concave), Some(2));
    }

    #[test]
    fn a_ceiling_and_a_wall_have_knees_where_they_begin() {
        assert_eq!(knee(20, Shape::Concave, |n| n.min(8.0) * 1000.0), Some(8));
        assert_eq!(knee(20, Shape::Convex, |n| 200.0 + (n - 15.0).max(0.0) * 4000.0), Some(15));
    }

    #[test]
    fn a_line_has_none() {
        assert_eq!(knee(20, Shape::Concave, |n| 100.0 * n), None);
        assert_eq!(knee(20, Shape::Convex, |_| 7.0), None);
        assert_eq!(knee(4, Shape::Concave, |n| n.min(2.0)), None);
    }

    /// In how many of 100 sweeps over 1 to 20 connections a knee is told, of all and within a level of `at`; p99 is in ms.
    fn told(of: &str, at: f64, mut values: impl FnMut(f64, &mut Random) -> (f64, f64)) -> (usize, usize) {
        let mut report = report_of(&(1..=20).collect::<Vec<_>>());
        let mut random = Random::new(7);
        let (mut all, mut right) = (0, 0);
        for _ in 0..100 {
            for level in &mut report.levels {
                let (rate, p99_ms) = values(level.load.position().unwrap(), &mut random);
                // The rate of arrivals, over the time that it took to carry them.
                level.carried_us = 10_000_000;
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                {
                    level.books.arrived = (rate * 10.0) as u64;
                    level.arrival.p99_us = Some((p99_ms * 1000.0) as i64);
                }
                level.arrival.ci95.p99 = None;
            }
            let knees = Knee::all(&report);
            let found = knees.iter().find(|knee| knee.of == of);
            all += usize::from(found.is_some());
            right += usize::from(found.is_some_and(|knee| (knee.position - at).abs() <= 1.0 && knee.share >= 0.5));
        }
        (all, right)
    }

    #[test]
    fn noise_has_no_knee() {
        let (p99, _) = told("arrival_p99", 0.0, |_, random| (1000.0, 6f64.powf(random.uniform())));
        let (rising, _) = told("arrival_p99", 0.0, |n, random| (n, (1.0 + 0.2 * n) * (0.3 * random.normal()).exp()));
        let (flat, _) = told("throughput", 0.0, |_, random| (30_000.0 * (1.0 + 0.1 * random.normal()), 1.0));
        let (line, _) = told("throughput", 0.0, |n, random| (1000.0 * n * (1.0 + 0.05 * random.normal()), 1.0));
        assert!([p99, rising, flat, line].iter().all(|told| *told <= 5), "{p99} {rising} {flat} {line}");
    }

    #[test]
    fn one_odd_level_is_no_knee() {
        let (last, _) = told("arrival_p99", 0.0, |n, random| {
            (1000.0, (1.0 + 0.1 * random.normal()) * if n > 19.5 { 20.0 } else { 1.0 })
        });
        let (first, _) = told("throughput", 0.0, |n, random| {
            (30_000.0 * (1.0 + 0.02 * random.normal()) * if n < 1.5 { 0.33 } else { 1.0 }, 1.0)
        });
        assert!(last <= 5 && first <= 5, "{last} {first}");
    }

    #[test]
    fn a_real_one_is_found_where_it_is() {
        let wall = told("arrival_p99", 15.0, |n, random| {
            (n, (0.2 + 4.0 * (n - 15.0).max(0.0)) * (0.1 * random.normal()).exp())
        });
        let ceiling = told("throughput", 8.0, |n, random| (n.min(8.0) * 1000.0 * (1.0 + 0.03 * random.normal()), 1.0));
        assert!(wall.1 >= 95 && ceiling.1 >= 95, "{wall:?} {ceiling:?}");
    }
}
