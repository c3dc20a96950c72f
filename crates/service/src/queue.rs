//! The queue between the API server and the push server, as both are told about it.

use clap::{Args, ValueEnum};

/// The consumer group in which push servers share a stream.
pub const GROUP: &str = "pushserver";

/// The field of a stream's entry that holds the message's bytes.
pub const BODY: &str = "body";

/// Which key the queue is, and of what kind.
#[derive(Debug, Clone, Args)]
pub struct QueueArgs {
    /// What the queue is in Redis: a list, or a stream with a consumer group
    #[arg(long = "queue", value_name = "KIND", value_enum, env = "STAMPEDE_QUEUE", default_value = "list")]
    pub kind: QueueKind,

    /// The queue's key
    #[arg(
        long = "queue-key",
        value_name = "KEY",
        env = "STAMPEDE_QUEUE_KEY",
        default_value = stamp::keys::DEFAULT_QUEUE
    )]
    pub key: String,
}

/// What the queue is in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueueKind {
    /// LPUSH, and BLMPOP or BLMOVE.
    List,
    /// XADD, and XREADGROUP.
    Stream,
}
