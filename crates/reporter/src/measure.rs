//! From the log store to one level of a report.

use crate::{Books, Hop, Join, Level, Load, StampQuality};
use stamp::{Counts, LogStore, Stage, Stamp, StoreError};

/// Reads the stamps and counts of a load's run and computes the level; what the stamps are worth goes into `quality`.
///
/// # Errors
/// When the log store fails.
pub async fn measure(
    log: &LogStore,
    load: &Load,
    path: &[Stage],
    quality: &mut StampQuality,
) -> Result<Level, StoreError> {
    let mut join = Join::new(path.len());
    let mut unreadable = 0;
    for (index, stage) in path.iter().enumerate() {
        let take = |entry: &[u8]| match Stamp::parse(entry) {
            Ok(stamp) => {
                join.add(index, &stamp);
                quality.add(index, &stamp);
            }
            Err(_) => unreadable += 1,
        };
        log.entries(&load.run, stage, take).await?;
    }
    let counts = log.counts(&load.run).await?;
    for (index, stage) in path.iter().enumerate() {
        quality.add_dropped(index, counts.get(&format!("dropped.{stage}")));
    }
    Ok(level(load, path, &join, unreadable, &counts))
}

fn level(load: &Load, path: &[Stage], join: &Join, unreadable: u64, counts: &Counts) -> Level {
    let last = path.len() - 1;
    let first = arrival_begins(path);
    let mut negative = 0;
    let mut latency = |from, to| {
        let (distribution, below_zero) = join.latency(from, to);
        negative += below_zero;
        distribution
    };
    let hops = (1..path.len()).map(|to| Hop { stage: path[to].clone(), latency: latency(to - 1, to) }).collect();
    Level {
        arrival: latency(first, last),
        user: latency(0, last),
        hops,
        books: books(load, path, counts),
        sampled: join.stamped(first),
        complete: join.complete(),
        repeated_stamps: join.repeated(),
        negative,
        across_steps: join.across_steps(),
        unreadable,
        load: load.clone(),
    }
}

/// Arrival latency begins where the pipeline does: after the load generator's own stage.
fn arrival_begins(path: &[Stage]) -> usize {
    usize::from(path[0] == Stage::SEND && path.len() > 2)
}

fn books(load: &Load, path: &[Stage], counts: &Counts) -> Books {
    let passed: Vec<(Stage, u64)> = path.iter().map(|stage| (stage.clone(), counts.get(stage.as_str()))).collect();
    let duplicates = counts.get("duplicates");
    let accepted = load.http.as_ref().map_or_else(|| accepted_elsewhere(path, counts), |http| http.accepted);
    let arrived = passed.last().map_or(0, |(_, count)| count.saturating_sub(duplicates));
    let unanswered = counts.get(Stage::ENQUEUE.as_str()).saturating_sub(accepted);
    Books {
        accepted,
        arrived,
        unanswered,
        lost: (accepted + unanswered).cast_signed() - arrived.cast_signed(),
        duplicates,
        stamps_dropped: path.iter().map(|stage| counts.get(&format!("dropped.{stage}"))).sum(),
        passed,
    }
}

/// Messages that a pipeline took in under the load of another program: those that its queue got, or else those that its
/// first stage saw.
fn accepted_elsewhere(path: &[Stage], counts: &Counts) -> u64 {
    let taken_in = if path.contains(&Stage::ENQUEUE) { &Stage::ENQUEUE } else { &path[0] };
    counts.get(taken_in.as_str())
}
