//! Where the slowest messages spent their time.

use super::Evidence;
use crate::join::MISSING;
use crate::{Tail, TailHop};

/// The part of all messages that is looked at.
const SLOWEST: f64 = 0.01;

/// With fewer messages in the tail, one of them would decide.
const LEAST_MESSAGES: usize = 5;

pub(crate) fn tail(evidence: &Evidence<'_>) -> Option<Tail> {
    let (first, last) = (evidence.first(), evidence.last());
    let complete = |row: &usize| {
        (first..last).all(|stage| evidence.join.time(stage, *row) != MISSING) && evidence.arrival(*row) != MISSING
    };
    let rows: Vec<usize> = evidence.order.iter().map(|(_, row)| row).filter(complete).collect();
    let latency = |row: usize| evidence.arrival(row) - evidence.join.time(first, row);
    let mut latencies: Vec<i64> = rows.iter().map(|&row| latency(row)).collect();
    // A part of a count that fits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let messages = (rows.len() as f64 * SLOWEST).ceil() as usize;
    if messages < LEAST_MESSAGES {
        return None;
    }
    let place = latencies.len() - messages;
    let (_, &mut from_us, _) = latencies.select_nth_unstable(place);
    let slowest: Vec<usize> = rows.iter().copied().filter(|&row| latency(row) >= from_us).collect();
    let (of_slowest, of_all) = (shares(evidence, &slowest)?, shares(evidence, &rows)?);
    let hops = evidence.path[first + 1..].iter().zip(of_slowest.into_iter().zip(of_all));
    Some(Tail {
        slowest: SLOWEST,
        messages: slowest.len() as u64,
        from_us,
        hops: hops
            .map(|(stage, (share, share_of_all))| TailHop { stage: stage.clone(), share, share_of_all })
            .collect(),
    })
}

/// Each hop's share of the time that these messages took. Sums of means, so that they add up.
fn shares(evidence: &Evidence<'_>, rows: &[usize]) -> Option<Vec<f64>> {
    let (first, last) = (evidence.first(), evidence.last());
    let took = |from: usize, to: usize| {
        let times =
            rows.iter().map(|&row| i128::from(evidence.join.time(to, row)) - i128::from(evidence.join.time(from, row)));
        times.sum::<i128>() as f64
    };
    let whole = took(first, last);
    (whole > 0.0).then(|| (first..last).map(|from| took(from, from + 1) / whole).collect())
}
