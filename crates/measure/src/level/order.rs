//! The messages in the order in which they were taken in, and what their traces suffered.

use super::Evidence;
use crate::Traces;
use crate::join::{Join, MISSING};

/// The rows of a join that were stamped where arrival latency begins, in the order of these stamps, without those told in several time
/// scales.
#[derive(Debug)]
pub(crate) struct Order {
    rows: Vec<(i64, u32)>,
}

impl Order {
    pub(crate) fn new(join: &Join, first: usize) -> Self {
        let row = |row: usize| {
            let time = join.time(first, row);
            // A join has no more rows than that.
            (time != MISSING && !join.is_torn(row)).then(|| (time, u32::try_from(row).unwrap_or(u32::MAX)))
        };
        let mut rows: Vec<(i64, u32)> = (0..join.messages()).filter_map(row).collect();
        rows.sort_unstable();
        Self { rows }
    }

    /// The same with some of its rows.
    pub(crate) fn filtered(&self, is_kept: impl Fn(usize) -> bool) -> Self {
        Self { rows: self.rows.iter().copied().filter(|&(_, row)| is_kept(row as usize)).collect() }
    }

    /// Each message's time and row.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (i64, usize)> + Clone {
        self.rows.iter().map(|&(time, row)| (time, row as usize))
    }

    /// From the first message to the last one, µs.
    pub(crate) fn span_us(&self) -> (i64, i64) {
        match (self.rows.first(), self.rows.last()) {
            (Some((first, _)), Some((last, _))) => (*first, *last),
            _ => (0, 0),
        }
    }
}

/// What the traces suffered, as far as the order of messages and stages tells.
pub(crate) fn traces(evidence: &Evidence<'_>) -> Traces {
    let Evidence { join, path, .. } = *evidence;
    let (first, last) = (evidence.first(), evidence.last());
    let mut traces = Traces::default();
    let mut missing = vec![0; path.len()];
    for row in 0..join.messages() {
        traces.across_steps += u64::from(join.is_torn(row));
        let has = |stage: usize| join.time(stage, row) != MISSING;
        traces.sampled += u64::from(has(first));
        traces.unfinished += u64::from(has(first) && !has(last));
        traces.late += u64::from(has(first) && has(last) && evidence.arrival(row) == MISSING);
        let furthest = (0..path.len()).rev().find(|&stage| has(stage)).unwrap_or(0);
        let gaps = (0..furthest).filter(|&stage| !has(stage));
        let before = missing.iter().sum::<u64>();
        gaps.for_each(|stage| missing[stage] += 1);
        traces.complete += u64::from(furthest == last && before == missing.iter().sum::<u64>());
    }
    traces.missing = path.iter().cloned().zip(missing).filter(|(_, count)| *count > 0).collect();
    let mut latest = MISSING;
    for (_, row) in evidence.order.iter() {
        let arrived = evidence.arrival(row);
        if arrived != MISSING {
            traces.reordered += u64::from(arrived < latest);
            latest = latest.max(arrived);
        }
    }
    traces
}
