//! Little's law as a check: messages in flight, rate and latency are found in different ways, and must agree.

use super::Evidence;
use crate::join::MISSING;
use crate::{Distribution, Hop, LittleLaw};

/// How far from 1 the ratio may be without a word.
const TOLERANCE: f64 = 0.1;

/// Standard errors that chance may explain.
const ERRORS: f64 = 3.0;

/// Fewer looks at the queue tell no mean.
const LEAST_LOOKS: usize = 10;

pub(crate) fn check(evidence: &Evidence<'_>, arrival: &Distribution, hops: &[Hop]) -> Vec<LittleLaw> {
    // It is of a load that does not change.
    if evidence.load.scenario.as_ref().is_some_and(|scenario| scenario.staged) {
        return Vec::new();
    }
    [http(evidence), pipeline(evidence, arrival), queue(evidence, hops)].into_iter().flatten().collect()
}

fn law(scope: &str, in_flight: f64, rate_per_sec: f64, latency_us: f64, uncertainty: f64) -> Option<LittleLaw> {
    let expected = rate_per_sec * latency_us / 1e6;
    let ratio = in_flight / expected;
    let off = (in_flight - expected).abs() > TOLERANCE * expected + uncertainty;
    ratio.is_finite().then(|| LittleLaw { scope: scope.to_owned(), in_flight, rate_per_sec, latency_us, ratio, off })
}

/// In a closed loop every connection has a request under way, all the time.
fn http(evidence: &Evidence<'_>) -> Option<LittleLaw> {
    let load = evidence.load;
    let (http, connections) = (load.http.as_ref()?, load.concurrency?);
    // Users who go through steps pause between them.
    if load.rate.is_some() || http.failed() > 0 || load.scenario.is_some() {
        return None;
    }
    let mean_us = http.mean_us?;
    // What was under way when the sending ended took about one request longer.
    let rate = http.accepted as f64 * 1e6 / (http.duration_us as f64 + mean_us);
    law("http", f64::from(connections), rate, mean_us, 0.0)
}

/// Messages between intake and arrival: in flight by the stamps of sampled messages, the rate by the exact counters.
fn pipeline(evidence: &Evidence<'_>, arrival: &Distribution) -> Option<LittleLaw> {
    let (begin, end) = evidence.span_us;
    let length = end - begin;
    if length <= 0 || arrival.count == 0 {
        return None;
    }
    let under_way = |(taken_in, row): (i64, usize)| {
        let arrived = match evidence.arrival(row) {
            MISSING if evidence.cutoff_us.is_some() => end,
            MISSING => return 0,
            arrived => arrived,
        };
        i128::from((arrived.min(end) - taken_in.max(begin)).max(0))
    };
    let sum: i128 = evidence.order.iter().map(under_way).sum();
    let in_flight = sum as f64 / length as f64 * evidence.every as f64;
    let books = evidence.books;
    let rate = (books.accepted + books.unanswered) as f64 * 1e6 / length as f64;
    let mean_us = arrival.mean_us?;
    let chance = ERRORS * in_flight / (arrival.count as f64).sqrt();
    law("pipeline", in_flight, rate, mean_us, chance)
}

/// Messages in the Redis queue: counted by looking, the wait by the stamps. The hop also has the way into Redis and out of it, so that the
/// queue may hold fewer messages than the hop, and never more.
fn queue(evidence: &Evidence<'_>, hops: &[Hop]) -> Option<LittleLaw> {
    let looks = &evidence.load.queue;
    let mut queued = hops.iter().filter(|hop| hop.queued);
    let (hop, None) = (queued.next()?, queued.next()) else { return None };
    if looks.len() < LEAST_LOOKS {
        return None;
    }
    let count = looks.len() as f64;
    let mean = looks.iter().map(|look| look.messages as f64).sum::<f64>() / count;
    let variance = looks.iter().map(|look| (look.messages as f64 - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let books = evidence.books;
    let rate = (books.accepted + books.unanswered) as f64 / evidence.seconds();
    // The queue is looked at now and then, and neighbouring looks are alike; a message that is popped at once is in neither figure.
    let law = law("queue", mean, rate, hop.latency.mean_us?, 1.0 + ERRORS * (variance / count).sqrt())?;
    Some(LittleLaw { off: law.off && law.ratio > 1.0, ..law })
}
