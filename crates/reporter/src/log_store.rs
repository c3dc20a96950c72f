//! The options of every command that reads or writes a log store.

use clap::Args;
use stamp::{LogStore, RedisArgs, RedisUrl, StoreError};

/// Where the log store is, and how to reach it.
#[derive(Debug, Clone, Args)]
pub struct LogStoreArgs {
    /// The Redis server that holds the stamps
    #[arg(
        long,
        value_name = "URL",
        env = "STAMPEDE_LOG_STORE",
        default_value = "redis://127.0.0.1:6379",
        hide_env_values = true
    )]
    pub redis: RedisUrl,

    /// How to reach it.
    #[command(flatten)]
    pub redis_args: RedisArgs,
}

impl LogStoreArgs {
    /// Its address, with the login and the authorities that it takes.
    pub fn url(&self) -> RedisUrl {
        self.redis_args.reach(&self.redis)
    }

    /// Connects to it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn connect(&self) -> Result<LogStore, StoreError> {
        LogStore::connect(&self.url()).await
    }
}
