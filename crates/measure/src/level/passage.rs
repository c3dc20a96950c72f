//! When messages passed the stages, for whoever counts those that were under way at some moment.

use super::Evidence;
use crate::join::MISSING;

/// Where a message never passed a stage: behind all times.
const NEVER: i64 = i64::MAX;

/// Hands over when each message had passed each stage of the path, µs. A stage whose stamp it lacks was passed by the time of the next one that it has: a
/// stamp that is missing leaves no message on a hop. Messages that are gone are left out: where they were, and until when, nobody knows.
pub(crate) fn each(evidence: &Evidence<'_>, mut take: impl FnMut(&[i64])) {
    let join = evidence.join;
    let mut times = vec![NEVER; evidence.path.len()];
    for row in (0..join.messages()).filter(|&row| !join.is_torn(row) && !evidence.is_gone(row)) {
        let mut behind = NEVER;
        for (stage, time) in times.iter_mut().enumerate().rev() {
            let own = join.time(stage, row);
            behind = if own == MISSING { behind } else { own };
            *time = behind;
        }
        take(&times);
    }
}
