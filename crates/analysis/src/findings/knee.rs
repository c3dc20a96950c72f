//! Where a curve bends: Kneedle, by V. Satopää, J. Albrecht, D. Irwin and B. Raghavan, "Finding a 'Kneedle' in a Haystack", ICDCS Workshops 2011.

use crate::{Level, Report};
use serde::{Deserialize, Serialize};

/// How far a difference must fall behind its maximum to make that a knee, in mean distances between levels: the paper's sensitivity S.
const SENSITIVITY: f64 = 1.0;

/// Fewer points have no bend.
const LEAST_POINTS: usize = 5;

/// A bend of a curve over the levels of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// Of which curve: `throughput` (more load brings less and less) or `arrival_p99` (more load costs more and more).
    pub of: String,
    /// At which level: its rate, or else its concurrency.
    pub position: f64,
    /// The curve's value there: messages delivered a second, or µs.
    pub value: f64,
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
        let curve = |value: fn(&Level) -> Option<f64>| {
            let groups = report.levels.chunk_by(|one, other| one.load.position() == other.load.position());
            let point = |levels: &[Level]| {
                let median = super::Spread::of(levels.iter().filter_map(value))?.median;
                Some((levels[0].load.position()?, median))
            };
            groups.filter_map(point).collect::<Vec<_>>()
        };
        let knee = |of: &str, shape, points: Vec<(f64, f64)>| {
            let (position, value) = kneedle(&points, shape)?;
            Some(Self { of: of.to_owned(), position, value })
        };
        let throughput = knee("throughput", Shape::Concave, curve(Level::delivered_per_sec));
        let latency = knee("arrival_p99", Shape::Convex, curve(|level| level.arrival.p99_us.map(|us| us as f64)));
        throughput.into_iter().chain(latency).collect()
    }
}

/// The knee of a rising curve, its points in rising order. Levels are few and already means of many messages: the paper's smoothing is left out.
fn kneedle(points: &[(f64, f64)], shape: Shape) -> Option<(f64, f64)> {
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
    (differences[best] > threshold && falls).then(|| points[best])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(levels: u32, curve: fn(f64) -> f64) -> Vec<(f64, f64)> {
        (1..=levels).map(|n| (f64::from(n), curve(f64::from(n)))).collect()
    }

    #[test]
    fn the_example_of_the_paper() {
        // Figure 2 of the paper: y = -1 / (x + 0.1) + 5 on [0, 1], with its knee at 0.22.
        let curve: Vec<(f64, f64)> = (0..10).map(|i| f64::from(i) / 9.0).map(|x| (x, -1.0 / (x + 0.1) + 5.0)).collect();
        let (x, _) = kneedle(&curve, Shape::Concave).unwrap();
        assert!((x - 0.22).abs() < 0.01, "{x}");
    }

    #[test]
    fn a_ceiling_and_a_wall_have_knees_where_they_begin() {
        assert_eq!(kneedle(&points(20, |n| n.min(8.0) * 1000.0), Shape::Concave).map(|p| p.0), Some(8.0));
        assert_eq!(
            kneedle(&points(20, |n| if n <= 15.0 { 200.0 } else { 200.0 + (n - 15.0) * 4000.0 }), Shape::Convex)
                .map(|p| p.0),
            Some(15.0)
        );
    }

    #[test]
    fn a_line_has_none() {
        assert_eq!(kneedle(&points(20, |n| 100.0 * n), Shape::Concave), None);
        assert_eq!(kneedle(&points(20, |_| 7.0), Shape::Convex), None);
        assert_eq!(kneedle(&points(4, |n| n.min(2.0)), Shape::Concave), None);
    }
}
