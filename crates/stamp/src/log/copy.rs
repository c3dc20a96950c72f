//! What it takes to copy runs out of a log store and back into one.

use super::LogStore;
use crate::{RunId, Stage, StoreError, keys, registry};
use std::collections::BTreeMap;
use std::time::Duration;

impl LogStore {
    /// The stages that have a list of stamps, sorted, of each of these runs that has any.
    pub async fn stages(&self, runs: &[RunId]) -> Result<BTreeMap<RunId, Vec<Stage>>, StoreError> {
        let keys = self.ask(|mut redis| async move { registry::scan(&mut redis, "trace:*").await }).await?;
        let mut stages: BTreeMap<RunId, Vec<Stage>> = BTreeMap::new();
        for key in keys {
            let Some((run, stage)) = key.strip_prefix("trace:").and_then(|rest| rest.split_once(':')) else { continue };
            let Some(run) = runs.iter().find(|known| known.as_str() == run) else { continue };
            // Counters and arrivals have names that no stage can have.
            let Ok(stage) = stage.parse::<Stage>() else { continue };
            let key = &key;
            let kind: String =
                self.ask(|mut redis| async move { redis::cmd("TYPE").arg(key).query_async(&mut redis).await }).await?;
            if kind == "list" {
                stages.entry(run.clone()).or_default().push(stage);
            }
        }
        Ok(stages)
    }

    /// Appends entries to a stage's list, which then lives for `time_to_live`.
    pub async fn append(
        &self,
        run: &RunId,
        stage: &Stage,
        entries: &[Vec<u8>],
        time_to_live: Duration,
    ) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let key = keys::stamps(run, stage);
        let mut pipeline = redis::pipe();
        pipeline.cmd("RPUSH").arg(&key).arg(entries).ignore();
        pipeline.expire(&key, seconds(time_to_live)).ignore();
        self.run(&pipeline).await
    }

    /// Sets fields of a run's hash of counters, which then lives for `time_to_live`.
    pub async fn put_counts(
        &self,
        run: &RunId,
        fields: &BTreeMap<String, u64>,
        time_to_live: Duration,
    ) -> Result<(), StoreError> {
        if fields.is_empty() {
            return Ok(());
        }
        let key = keys::counts(run);
        let mut pipeline = redis::pipe();
        let fields: Vec<(&String, &u64)> = fields.iter().collect();
        pipeline.hset_multiple(&key, &fields).ignore().expire(&key, seconds(time_to_live)).ignore();
        self.run(&pipeline).await
    }

    /// Removes the counters of a run and its stamps at these stages.
    pub async fn forget(&self, run: &RunId, stages: &[Stage]) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.del(keys::counts(run)).ignore();
        for stage in stages {
            pipeline.del(keys::stamps(run, stage)).ignore();
        }
        self.run(&pipeline).await
    }

    async fn run(&self, pipeline: &redis::Pipeline) -> Result<(), StoreError> {
        // Once: entries that are appended twice would look like duplicates.
        let mut connection = self.lock().clone();
        pipeline.query_async(&mut connection).await.map_err(|e| self.url.failed(e))
    }
}

fn seconds(time: Duration) -> i64 {
    time.as_secs().max(1).cast_signed()
}
