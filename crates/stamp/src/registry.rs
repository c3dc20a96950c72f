//! Which services are there: each process beats once a second, so that anybody can see it, on any host.

use crate::{Stage, keys};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often a process beats.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);

/// How long a beat is heard.
const HEARD_FOR: Duration = Duration::from_secs(5);

/// One process of a service, as it describes itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// The service's name.
    pub service: String,
    /// Tells the processes of a service apart.
    pub instance: String,
    /// The service's version.
    #[serde(default)]
    pub version: String,
    /// Where it runs.
    #[serde(default)]
    pub host: String,
    /// Its process id there.
    #[serde(default)]
    pub pid: u32,
    /// It samples 1 message in N.
    pub every: u64,
    /// The stages that it stamps.
    pub stages: Vec<Stage>,
    /// Its clock; absent for a service that writes plain stamps.
    #[serde(default)]
    pub clock: Option<BeatClock>,
    /// CPU time used since it started, µs; absent where the system does not tell.
    #[serde(default)]
    pub cpu_us: Option<u64>,
    /// Resident memory, bytes; absent where the system does not tell.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Processors that it may use; absent where nobody tells.
    #[serde(default)]
    pub cores: Option<u32>,
    /// What it may load, as `scheme://host:port`, where it is a load generator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<String>,
    /// How long ago it beat last, ms; told by the log store, not by the service.
    #[serde(skip)]
    pub age_ms: u64,
}

/// What a process knows about the log store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BeatClock {
    /// The bound of the disciplined clock's error, µs.
    pub error_us: u32,
    /// The host's wall clock less Redis time, µs: no result depends on it.
    pub host_offset_us: i64,
    /// How much faster the Redis clock runs than this process's, parts per million.
    pub drift_ppm: f64,
    /// How often the Redis clock has been set since the process started.
    pub steps: u32,
}

/// Beats, and keeps the list of clock steps alive: its length numbers the time scales, so that it must not expire while a
/// process remembers it.
pub(crate) fn write(pipeline: &mut redis::Pipeline, beat: &Beat, time_to_live: Duration) {
    // A struct of strings and numbers always becomes JSON.
    let document = serde_json::to_string(beat).unwrap_or_default();
    pipeline.set_ex(keys::service(&beat.service, &beat.instance), document, HEARD_FOR.as_secs()).ignore();
    pipeline.expire(keys::CLOCK_STEPS, time_to_live.as_secs().cast_signed()).ignore();
}

/// Says that the process has ended.
pub(crate) async fn remove(
    connection: &mut MultiplexedConnection,
    service: &str,
    instance: &str,
) -> redis::RedisResult<()> {
    connection.del(keys::service(service, instance)).await
}

/// The keys that match a pattern, sorted.
pub(crate) async fn scan(connection: &mut MultiplexedConnection, pattern: &str) -> redis::RedisResult<Vec<String>> {
    let mut cursor = 0u64;
    let mut found = Vec::new();
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(connection).await?;
        found.extend(keys);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    // A scan may give a key twice.
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Reads who is there, sorted by service and instance. What is no beat is passed over.
pub(crate) async fn read(connection: &mut MultiplexedConnection) -> redis::RedisResult<Vec<Beat>> {
    let keys = scan(connection, "trace:service:*").await?;
    fetch(connection, &keys).await
}

/// Reads the beats under these keys, as far as they are there.
pub(crate) async fn fetch(connection: &mut MultiplexedConnection, keys: &[String]) -> redis::RedisResult<Vec<Beat>> {
    let mut beats = Vec::new();
    for key in keys {
        let (document, left_ms): (Option<String>, i64) =
            redis::pipe().get(key).pttl(key).query_async(connection).await?;
        if let Some(mut beat) = document.and_then(|document| serde_json::from_str::<Beat>(&document).ok()) {
            let heard_for = i64::try_from(HEARD_FOR.as_millis()).unwrap_or(i64::MAX);
            beat.age_ms = (heard_for - left_ms).max(0).unsigned_abs();
            beats.push(beat);
        }
    }
    Ok(beats)
}
