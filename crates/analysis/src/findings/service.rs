//! Time in service and time spent waiting, hop by hop.

use crate::Level;

/// Divides each hop's mean into the time that a message takes which has the hop to itself, and the rest, which it waits.
///
/// Stamps tell when a message passes, not when somebody begins to work on it. What a hop takes without anybody in the way is told by
/// the level of the sweep where it is quickest: the smallest 10th percentile over all levels. On a hop that begins in a queue nobody works: all of it is
/// waiting.
pub(crate) fn divide_service_and_wait(levels: &mut [Level]) {
    // Between foreign clocks nobody knows either.
    if levels.iter().any(Level::has_foreign_hops) {
        return;
    }
    let hops = levels.iter().map(|level| level.hops.len()).max().unwrap_or(0);
    for index in 0..hops {
        let quickest = |level: &Level| {
            let p10 =
                level.histograms.hops.get(index).filter(|histogram| !histogram.is_empty())?.value_at_quantile(0.1);
            Some(p10 as f64)
        };
        let service = levels.iter().filter_map(quickest).min_by(f64::total_cmp);
        for hop in levels.iter_mut().filter_map(|level| level.hops.get_mut(index)) {
            let (Some(mean), Some(service)) = (hop.latency.mean_us, service) else { continue };
            let service = if hop.queued { 0.0 } else { service.min(mean.max(0.0)) };
            hop.service_us = Some(service);
            hop.wait_us = Some(mean - service);
        }
    }
}
