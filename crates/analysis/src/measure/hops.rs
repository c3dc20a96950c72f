//! The hops of one level.

use super::{Evidence, latency};
use crate::Hop;
use hdrhistogram::Histogram;
use stamp::Stage;

/// All hops, in path order; their histograms go into `histograms`.
pub(crate) fn all(
    evidence: &Evidence<'_>,
    negative: &mut latency::Negative,
    histograms: &mut Vec<Histogram<u64>>,
) -> Vec<Hop> {
    let Evidence { path, join, every, span_us: (_, end), .. } = *evidence;
    let passed: Vec<u64> =
        (0..path.len()).map(|stage| join.times(stage).filter(|&time| time <= end).count() as u64).collect();
    let hop = |to: usize| {
        let before = negative.all;
        let (latency, histogram, _) = latency::between(evidence, to - 1, to, negative);
        histograms.push(histogram);
        Hop {
            stage: path[to].clone(),
            latency,
            // Whoever comes behind the stage that enqueues takes from the queue.
            queued: path[to - 1] == Stage::ENQUEUE,
            service_us: None,
            wait_us: None,
            in_flight_at_end: passed[to - 1].saturating_sub(passed[to]) * every,
            negative: negative.all - before,
        }
    };
    (1..path.len()).map(hop).collect()
}
