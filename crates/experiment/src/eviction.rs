//! Whether a log store throws stamps away: one that evicts keys which expire takes exactly the stamps.

use stamp::{LogStore, RedisUrl};

/// Watches one server.
#[derive(Debug)]
pub(crate) struct Eviction {
    log: LogStore,
    shown: String,
    evicted: Option<u64>,
}

impl Eviction {
    /// From now on.
    pub(crate) async fn of(log: &LogStore, url: &RedisUrl) -> Self {
        let evicted = evicted(log).await;
        Self { log: log.clone(), shown: url.to_string(), evicted }
    }

    /// What may happen by the server's settings; absent where nothing can, or where it does not tell.
    pub(crate) async fn threatens(&self) -> Option<String> {
        let settings = self.log.settings(&["maxmemory", "maxmemory-policy"]).await.unwrap_or_default();
        let (limit, policy) = (settings.get("maxmemory")?, settings.get("maxmemory-policy")?);
        (limit != "0" && policy != "noeviction").then(|| {
            format!(
                "the log store at {} evicts keys when it is full (maxmemory-policy {policy}, maxmemory {limit}): stamps, which expire, may be among \
                 them; set maxmemory-policy noeviction, or give --log-store a Redis of its own",
                self.shown
            )
        })
    }

    /// What has happened since it was asked last.
    pub(crate) async fn happened(&mut self) -> Option<String> {
        let now = evicted(&self.log).await;
        let before = std::mem::replace(&mut self.evicted, now);
        let count = now?.checked_sub(before?).filter(|count| *count > 0)?;
        Some(format!(
            "the log store at {} has evicted {count} keys during this level: its stamps may be missing; set maxmemory-policy noeviction, or give \
             --log-store a Redis of its own",
            self.shown
        ))
    }
}

async fn evicted(log: &LogStore) -> Option<u64> {
    // A secured server may refuse to tell.
    log.info(&["stats"]).await.ok()?.get("evicted_keys")?.parse().ok()
}
