//! Whether the pipeline kept up with the load, or messages piled up for as long as it lasted.
//!
//! Messages in flight are counted from the stamps, hop by hop: those that had passed the stage before and not yet the stage behind it. Their
//! means over the thirds of the load are compared, so that a moment's pause in the middle is no instability, and neither is the way up at the start.

use super::Evidence;
use crate::{Stability, number};
use stamp::counted;

/// Moments of the load at which messages in flight are counted.
const MOMENTS: usize = 90;

/// Those in flight must grow by this factor from third to third, on and on.
const GROWS: f64 = 1.2;

/// And, from the middle third to the last one, by this part of the messages that were taken in meanwhile.
const PART: f64 = 0.01;

/// And by so many sampled messages: fewer are chance.
const LEAST_SAMPLED: f64 = 10.0;

pub(crate) fn judge(evidence: &Evidence<'_>) -> Stability {
    let hops: Vec<[f64; 3]> = in_flight(evidence);
    let whole: [f64; 3] = std::array::from_fn(|third| hops.iter().map(|hop| hop[third]).sum());
    let third_s = evidence.seconds() / 3.0;
    let growth_per_sec = (whole[2] - whole[1]) / third_s;
    let growing = hops
        .iter()
        .enumerate()
        .max_by(|(_, one), (_, other)| (one[2] - one[1]).total_cmp(&(other[2] - other[1])))
        .filter(|(_, hop)| hop[2] > hop[1])
        .map(|(index, _)| evidence.path[evidence.first() + index + 1].clone());
    let unstable = why(evidence, whole, growth_per_sec).map(|why| match &growing {
        Some(stage) => format!("{why}, most of them on the way to {stage}"),
        None => why,
    });
    Stability { growing: growing.filter(|_| unstable.is_some()), unstable, growth_per_sec }
}

fn why(evidence: &Evidence<'_>, [begin, middle, end]: [f64; 3], growth_per_sec: f64) -> Option<String> {
    let books = evidence.books;
    let taken_in_per_sec = (books.accepted + books.unanswered) as f64 / evidence.seconds();
    let steady = end > middle * GROWS && middle > begin * GROWS;
    let many = growth_per_sec > PART * taken_in_per_sec && end - middle > LEAST_SAMPLED * evidence.every as f64;
    if steady && many {
        let growth = number::grouped(growth_per_sec, 0);
        return Some(format!("messages in flight grew by {growth} a second to the end of the load"));
    }
    // What a later report finds to have arrived was under way then.
    let under_way = books.in_flight + books.late;
    if under_way > 0 {
        return Some(format!("{} had not arrived when the drain was given up", counted(under_way, "message")));
    }
    None
}

/// Mean messages in flight on each hop of the arrival latency, in each third of the load.
fn in_flight(evidence: &Evidence<'_>) -> Vec<[f64; 3]> {
    let (begin, end) = evidence.span_us;
    let length = (end - begin).max(1);
    // How many had passed each stage by each moment.
    let passed: Vec<Vec<u64>> = (evidence.first()..=evidence.last())
        .map(|stage| {
            let mut counts = vec![0; MOMENTS];
            for time in evidence.join.times(stage) {
                let place = i128::from(time - begin).max(0) * MOMENTS as i128 / i128::from(length);
                if let Some(count) = usize::try_from(place).ok().and_then(|place| counts.get_mut(place)) {
                    *count += 1;
                }
            }
            let running = counts.iter().scan(0, |sum, count| {
                *sum += count;
                Some(*sum)
            });
            running.collect()
        })
        .collect();
    let third = |pair: &[Vec<u64>], third: usize| {
        let moments = third * MOMENTS / 3..(third + 1) * MOMENTS / 3;
        let count = moments.len() as f64;
        let waiting = moments.map(|moment| pair[0][moment] as f64 - pair[1][moment] as f64);
        waiting.sum::<f64>() / count * evidence.every as f64
    };
    passed.windows(2).map(|pair| [0, 1, 2].map(|number| third(pair, number))).collect()
}
