//! What coordinator and workers do in the log store. Each of it may be done twice.

use crate::wire::{Line, Order};
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, Script};
use stamp::{LogStore, StoreError, keys};
use std::time::Duration;

/// Writes an order where there is none, or one of the same coordinator, or one that was released. ARGV: the order, its coordinator, its lease in ms.
const WRITE: &str = r"
local known = redis.call('GET', KEYS[1])
if known then
    local order = cjson.decode(known)
    if order.coordinator ~= ARGV[2] and not order.released then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
";

/// How long a line, or a load that not all have read, is kept.
const KEPT: Duration = Duration::from_secs(120);

/// A place where coordinator and workers meet.
#[derive(Debug, Clone)]
pub(crate) struct Meeting(pub(crate) LogStore);

impl Meeting {
    /// Takes a worker, where it is free: writes its first order. False where it is another's.
    pub(crate) async fn claim(&self, worker: &str, order: &Order, lease: Duration) -> Result<bool, StoreError> {
        let written = self.write_all(&[(worker.to_owned(), order.clone())], lease).await?;
        Ok(written.first().is_some_and(|written| *written))
    }

    /// Writes orders in one trip; false for each worker that is another's by now.
    pub(crate) async fn write_all(&self, orders: &[(String, Order)], lease: Duration) -> Result<Vec<bool>, StoreError> {
        // Users may have the right to EVALSHA without that to EVAL.
        let (mut pipeline, script) = (redis::pipe(), Script::new(WRITE));
        pipeline.cmd("SCRIPT").arg("LOAD").arg(WRITE).ignore();
        for (worker, order) in orders {
            let document = serde_json::to_string(order).unwrap_or_default();
            let mut eval = redis::cmd("EVALSHA");
            eval.arg(script.get_hash()).arg(1).arg(keys::worker(worker)).arg(document);
            pipeline.add_command(eval.arg(&order.coordinator).arg(millis(lease)).to_owned());
        }
        let pipeline = &pipeline;
        self.0.ask(|mut redis| async move { pipeline.query_async(&mut redis).await }).await
    }

    /// A worker's order, and how long it still holds.
    pub(crate) async fn order(&self, worker: &str) -> Result<Option<(Order, Duration)>, StoreError> {
        let key = &keys::worker(worker);
        let asked =
            self.0.ask(|mut redis| async move { redis::pipe().get(key).pttl(key).query_async(&mut redis).await });
        let (document, left): (Option<String>, i64) = asked.await?;
        let order = document.and_then(|document| serde_json::from_str(&document).ok());
        Ok(order.map(|order| (order, Duration::from_millis(u64::try_from(left).unwrap_or(0)))))
    }

    /// Whose each of these workers is now.
    pub(crate) async fn holders(&self, workers: &[String]) -> Result<Vec<Option<String>>, StoreError> {
        if workers.is_empty() {
            return Ok(Vec::new());
        }
        let names = &workers.iter().map(|worker| keys::worker(worker)).collect::<Vec<_>>();
        let documents: Vec<Option<String>> = self.0.ask(|mut redis| async move { redis.mget(names).await }).await?;
        let order = |document: Option<String>| serde_json::from_str::<Order>(&document?).ok();
        let held = |order: Order| (!order.released).then_some(order.coordinator);
        Ok(documents.into_iter().map(|document| order(document).and_then(held)).collect())
    }

    /// Says how a worker stands; of all that workers say, some lines for each are kept.
    pub(crate) async fn say(&self, coordinator: &str, line: &Line, workers: u32) -> Result<(), StoreError> {
        let (key, line) = (&keys::work(coordinator), &serde_json::to_string(line).unwrap_or_default());
        let most = 100 + 16 * workers;
        self.0
            .ask(|mut redis| async move {
                let mut pipeline = redis::pipe();
                pipeline.cmd("XADD").arg(key).arg("MAXLEN").arg("~").arg(most).arg("*").arg("line").arg(line).ignore();
                pipeline.expire(key, KEPT.as_secs().cast_signed()).ignore();
                pipeline.query_async(&mut redis).await
            })
            .await
    }

    /// The lines after the one of this id, oldest first, with their ids.
    pub(crate) async fn lines(&self, coordinator: &str, after: &str) -> Result<Vec<(String, Line)>, StoreError> {
        let key = &keys::work(coordinator);
        let options = &StreamReadOptions::default().count(5_000);
        let reply: StreamReadReply =
            self.0.ask(|mut redis| async move { redis.xread_options(&[key], &[after], options).await }).await?;
        let read = reply.keys.into_iter().flat_map(|key| key.ids);
        // What is no line is passed over, like what another version writes.
        let line = |entry: redis::streams::StreamId| {
            let text: String = entry.get("line")?;
            Some((entry.id, serde_json::from_str(&text).ok()?))
        };
        Ok(read.filter_map(line).collect())
    }

    /// Removes what workers have said, and a load that nobody reads any more.
    pub(crate) async fn forget(&self, coordinator: &str, load: u64) {
        // What stays is forgotten by itself.
        let _ = self.0.delete(&keys::work(coordinator)).await;
        let _ = self.0.delete(&keys::work_load(coordinator, load)).await;
    }

    /// Puts a load where workers read it.
    pub(crate) async fn put_load(&self, coordinator: &str, number: u64, document: &str) -> Result<(), StoreError> {
        self.0.put(&keys::work_load(coordinator, number), document, KEPT).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
