//! The hops of one level.

use super::{Evidence, latency};
use crate::Hop;
use hdrhistogram::Histogram;
use stamp::Stage;

/// All hops, in path order, with their histograms and the differences below zero among all of them.
pub(crate) fn all(evidence: &Evidence<'_>) -> (Vec<Hop>, Vec<Histogram<u64>>, latency::Negative) {
    let Evidence { path, join, every, span_us: (_, end), .. } = *evidence;
    let mut whole = latency::Negative::default();
    let passed: Vec<u64> =
        (0..path.len()).map(|stage| join.times(stage).filter(|&time| time <= end).count() as u64).collect();
    let hop = |to: usize| {
        let mut negative = latency::Negative::default();
        let (latency, histogram, _) = latency::between(evidence, to - 1, to, &mut negative);
        whole.add(&negative);
        let hop = Hop {
            stage: path[to].clone(),
            latency,
            // Whoever comes behind the stage that enqueues takes from the queue.
            queued: path[to - 1] == Stage::ENQUEUE,
            service_us: None,
            wait_us: None,
            in_flight_at_end: passed[to - 1].saturating_sub(passed[to]) * every,
            negative: negative.all,
        };
        (hop, histogram)
    };
    let (hops, histograms) = (1..path.len()).map(hop).unzip();
    (hops, histograms, whole)
}
