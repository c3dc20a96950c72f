//! Latencies between two stages.

use super::Evidence;
use crate::join::MISSING;
use crate::statistics::Survival;
use crate::{CurvePoint, Distribution};
use hdrhistogram::Histogram;

/// Points of the curve for each halving of the distance to 100 %, as HdrHistogram's own tools have.
const POINTS_PER_HALF: u32 = 5;

/// Differences that are below zero.
#[derive(Debug, Default)]
pub(crate) struct Negative {
    pub(crate) all: u64,
    /// Differences whose error is known, whatever their sign.
    pub(crate) of_known_error: u64,
    /// Further than the errors of their stamps allow, and impossible therefore.
    pub(crate) beyond_error: u64,
}

impl Negative {
    /// Takes in those of other latencies.
    pub(crate) fn add(&mut self, other: &Self) {
        self.all += other.all;
        self.of_known_error += other.of_known_error;
        self.beyond_error += other.beyond_error;
    }

    /// Notes a difference and the bound of its error, µs.
    pub(crate) fn note(&mut self, us: i64, error: Option<i64>) {
        self.all += u64::from(us < 0);
        self.of_known_error += u64::from(error.is_some());
        self.beyond_error += u64::from(error.is_some_and(|error| us < -error));
    }
}

/// The latencies from one stage to another, in the order in which messages were taken in. Messages that passed the first and none behind it were
/// under way until the cut-off.
pub(crate) fn between(
    evidence: &Evidence<'_>,
    from: usize,
    to: usize,
    negative: &mut Negative,
) -> (Distribution, Histogram<u64>, Survival) {
    let Evidence { join, cutoff_us, .. } = *evidence;
    let last = evidence.last();
    let mut measured = Vec::with_capacity(evidence.order.iter().len());
    let mut censored = Vec::new();
    let end = |row: usize| if to == last { evidence.arrival(row) } else { join.time(to, row) };
    for (_, row) in evidence.order.iter() {
        let (begin, end) = (join.time(from, row), end(row));
        if begin == MISSING {
            continue;
        }
        if end != MISSING {
            let latency = end - begin;
            negative.note(latency, join.error(from, to, row));
            measured.push(latency);
        } else if let Some(cutoff) = cutoff_us
            && (to + 1..=last).all(|later| join.time(later, row) == MISSING)
        {
            censored.push((cutoff - begin).max(0));
        }
    }
    let mut histogram = histogram();
    for &latency in &measured {
        // It grows as needed; no latency is beyond what it can hold.
        let _ = histogram.record(u64::try_from(latency).unwrap_or(0));
    }
    let survival = Survival::new(measured.clone(), censored);
    (Distribution::with(&measured, &survival), histogram, survival)
}

/// A histogram of µs to three significant digits.
fn histogram() -> Histogram<u64> {
    // Three digits are allowed.
    let mut histogram = Histogram::new(3).unwrap_or_else(|_| unreachable!("three significant digits are valid"));
    histogram.auto(true);
    histogram
}

/// The curve of latency by percentile: as far as messages are known to have arrived, and no further than there are messages.
pub(crate) fn curve(arrivals: &Survival) -> Vec<CurvePoint> {
    let count = arrivals.len() as f64;
    let mut points = Vec::new();
    let mut rest = 1.0;
    while rest * count >= 1.0 {
        for step in 0..POINTS_PER_HALF {
            let quantile = 1.0 - rest * (1.0 - f64::from(step) / f64::from(2 * POINTS_PER_HALF));
            let Some(us) = arrivals.quantile(quantile) else { return points };
            if (1.0 - quantile) * count >= 1.0 {
                points.push(CurvePoint { quantile, us });
            }
        }
        rest /= 2.0;
    }
    if arrivals.censored() == 0
        && let Some(us) = arrivals.max()
    {
        points.push(CurvePoint { quantile: 1.0, us });
    }
    points
}
