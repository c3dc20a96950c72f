//! How a run was sampled that nobody has described: its stamps tell, or the services that make them.

use stamp::{Counts, LogStore, RunId, Stage, Stamp, StoreError, keys};
use std::collections::BTreeSet;

/// So many multiples of N have no greater divisor in common, but by a chance of one in a thousand.
const ENOUGH: usize = 10;

/// 1 message in how many is sampled; nothing where it cannot be told.
pub(super) async fn find(log: &LogStore, run: &RunId, counts: &Counts) -> Result<Option<u64>, StoreError> {
    let stages: Vec<Stage> = counts.iter().filter_map(|(name, _)| name.parse().ok()).collect();
    let mut longest: Option<(u64, &Stage)> = None;
    for stage in &stages {
        let stamps = log.length(&keys::stamps(run, stage)).await?;
        if stamps > longest.map_or(0, |(stamps, _)| stamps) {
            longest = Some((stamps, stage));
        }
    }
    let mut ids = BTreeSet::new();
    if let Some((stamps, stage)) = longest {
        let take = |entry: &[u8]| ids.extend(Stamp::parse(entry).map(|stamp| stamp.id));
        log.entries_from(run, stage, 0, take).await?;
        let dropped = counts.get(&format!("dropped.{stage}"));
        if let Some(every) = of_stamps(counts.get(stage.as_str()), stamps + dropped, &ids) {
            return Ok(Some(every));
        }
    }
    let beats = log.services().await?;
    let stamping = beats.iter().filter(|beat| beat.stages.iter().any(|stage| stages.contains(stage)));
    let said: BTreeSet<u64> = stamping.map(|beat| beat.every).collect();
    let agreed = said.first().filter(|every| said.len() == 1 && ids.iter().all(|id| id.is_multiple_of(**every)));
    Ok(agreed.copied())
}

/// N divides the ids of all that was stamped. Which divisor it is, is told by how many messages each stamp stands for.
fn of_stamps(counted: u64, stamped: u64, ids: &BTreeSet<u64>) -> Option<u64> {
    let stands_for = ((counted + stamped / 2).checked_div(stamped)?).max(1);
    let common = ids.iter().fold(0, |common, &id| greatest_common_divisor(common, id));
    // Of few, only what the ids and the counts both say.
    if ids.len() < ENOUGH && common != stands_for && counted != stamped {
        return None;
    }
    let divides = |every: &u64| *every > 0 && common.is_multiple_of(*every);
    (0..=stands_for).find_map(|off| [stands_for - off, stands_for + off].into_iter().find(divides))
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_counts_tell_the_sampling() {
        let multiples = |of: u64, number: u64| (1..=number).map(|n| n * of).collect::<BTreeSet<_>>();
        assert_eq!(of_stamps(2000, 200, &multiples(10, 200)), Some(10));
        // Ids at random: as many of them are sampled as happens.
        assert_eq!(of_stamps(2000, 26, &multiples(100, 26)), Some(100));
        assert_eq!(of_stamps(2000, 16, &multiples(100, 16)), Some(100));
        // Every message is stamped, whatever its ids have in common.
        assert_eq!(of_stamps(50, 50, &multiples(100, 50)), Some(1));
        assert_eq!(of_stamps(3, 3, &multiples(7, 3)), Some(1));
        assert_eq!(of_stamps(500, 50, &multiples(200, 50)), Some(10));
        assert_eq!(of_stamps(20, 2, &multiples(10, 2)), Some(10));
    }

    #[test]
    fn few_stamps_tell_nothing_that_is_not_sure() {
        assert_eq!(of_stamps(80, 1, &BTreeSet::from([700])), None);
        assert_eq!(of_stamps(80, 1, &BTreeSet::from([0])), None);
        assert_eq!(of_stamps(80, 0, &BTreeSet::new()), None);
    }
}
