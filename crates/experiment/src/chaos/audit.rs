//! The books at the end: which of the messages that were answered 202 have arrived.

use super::ChaosError;
use roaring::RoaringTreemap;
use stamp::{LogStore, MsgId, RedisUrl, RunId, StoreError, clock};
use std::time::Duration;
use tokio::time::sleep;

/// How often the books are read while messages are still on their way.
const PERIOD: Duration = Duration::from_millis(200);

/// Messages asked for at a time.
const CHUNK: usize = 10_000;

/// What has become of the messages.
#[derive(Debug)]
pub struct Audit {
    /// Messages that were answered 202.
    pub accepted: u64,
    /// Those of them that have arrived, at least once.
    pub arrived: u64,
    /// Arrivals beyond the first of a message, as counted by the subscribers that were not killed in between.
    pub duplicates: u64,
    /// Those that have not arrived.
    pub lost: RoaringTreemap,
}

/// Waits until every accepted message has arrived, or until none has for `patience`.
///
/// # Errors
/// When the log store does not answer.
pub async fn audit(
    redis: &RedisUrl,
    run: &RunId,
    accepted: &RoaringTreemap,
    patience: Duration,
) -> Result<Audit, ChaosError> {
    let log = LogStore::connect(redis).await?;
    let mut lost = accepted.clone();
    let mut moved = clock::now();
    loop {
        let before = lost.len();
        lost = missing(&log, run, &lost).await.map_err(ChaosError::Arrivals)?;
        if lost.is_empty() || (lost.len() == before && clock::now().duration_since(moved) >= patience) {
            break;
        }
        if lost.len() < before {
            moved = clock::now();
        }
        sleep(PERIOD).await;
    }
    let duplicates = log.counts(run).await?.get("duplicates");
    Ok(Audit { accepted: accepted.len(), arrived: accepted.len() - lost.len(), duplicates, lost })
}

/// Those of `wanted` that have not arrived.
async fn missing(log: &LogStore, run: &RunId, wanted: &RoaringTreemap) -> Result<RoaringTreemap, StoreError> {
    let mut missing = RoaringTreemap::new();
    let ids: Vec<MsgId> = wanted.iter().filter_map(|id| MsgId::new(id).ok()).collect();
    for ids in ids.chunks(CHUNK) {
        let arrived = log.has_arrived(run, ids.iter().copied()).await?;
        missing.extend(ids.iter().zip(arrived).filter(|(_, arrived)| !arrived).map(|(id, _)| id.get()));
    }
    Ok(missing)
}
