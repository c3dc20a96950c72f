//! Arrival latency over the time of the load.

use super::Evidence;
use crate::join::MISSING;
use crate::{Slice, Timeline};

/// Slices at most.
const MOST_SLICES: i64 = 120;

/// How long slices may be, ms.
const LENGTHS_MS: [i64; 16] =
    [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 300_000, 600_000, 3_600_000];

/// The length of the slices of a load, µs, and their number.
fn slices(span_us: (i64, i64)) -> (i64, usize) {
    let whole = (span_us.1 - span_us.0).max(1);
    let fits = |length: &i64| whole / length < MOST_SLICES;
    let length = LENGTHS_MS.into_iter().map(|ms| ms * 1000).find(fits).unwrap_or(whole / MOST_SLICES + 1);
    // At most so many as stated above.
    (length, usize::try_from(whole / length).unwrap_or(0) + 1)
}

pub(crate) fn timeline(evidence: &Evidence<'_>) -> Timeline {
    let (begin, _) = evidence.span_us;
    let (slice_us, count) = slices(evidence.span_us);
    let slice_of = |time: i64| usize::try_from((time - begin).max(0) / slice_us).unwrap_or(usize::MAX).min(count - 1);
    let mut slices = vec![Slice::default(); count];
    let mut latencies = vec![Vec::new(); count];
    let mut moves = vec![0i64; count];
    for (time, row) in evidence.order.iter() {
        let slice = slice_of(time);
        slices[slice].entered += 1;
        moves[slice] += 1;
        let arrived = evidence.arrival(row);
        if arrived != MISSING {
            latencies[slice].push(arrived - time);
            // What arrived after the load has left the last slice full.
            if usize::try_from((arrived - begin) / slice_us).is_ok_and(|slice| slice < count) {
                moves[slice_of(arrived)] -= 1;
            }
        }
    }
    let mut in_flight = 0;
    for ((slice, latencies), moved) in slices.iter_mut().zip(latencies).zip(moves) {
        in_flight += moved;
        slice.in_flight = u64::try_from(in_flight).unwrap_or(0) * evidence.every;
        fill(slice, latencies);
    }
    Timeline { slice_us, slices }
}

fn fill(slice: &mut Slice, mut latencies: Vec<i64>) {
    latencies.sort_unstable();
    let rank = |per_cent: usize| latencies.get((latencies.len() * per_cent).div_ceil(100).max(1) - 1).copied();
    slice.count = latencies.len() as u64;
    slice.p50_us = rank(50);
    slice.p99_us = rank(99);
    slice.max_us = latencies.last().copied();
    for &latency in &latencies {
        let bin = Timeline::bin_of(latency);
        if slice.bins.len() <= bin {
            slice.bins.resize(bin + 1, 0);
        }
        slice.bins[bin] = slice.bins[bin].saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_round_and_not_too_many() {
        for (seconds, expected) in [(1, (10_000, 101)), (10, (100_000, 101)), (60, (1_000_000, 61)), (0, (10_000, 1))] {
            assert_eq!(slices((5, 5 + seconds * 1_000_000)), expected, "{seconds} s");
        }
        assert!(slices((0, i64::MAX)).1 <= 121);
    }

    #[test]
    fn bins_begin_where_they_say() {
        for bin in 0..80 {
            let from = Timeline::bin_from_us(bin);
            #[allow(clippy::cast_possible_truncation)]
            let first = from.ceil() as i64;
            assert_eq!(Timeline::bin_of(first), bin, "{from}");
        }
        assert_eq!((Timeline::bin_of(-5), Timeline::bin_of(9)), (0, 0));
    }
}
