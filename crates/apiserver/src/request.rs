//! A message on its way to Redis, and what may become of it.

use bytes::Bytes;
use stamp::{MsgId, Refusal, RunTrace, Traceparent};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Why Redis does not have the message, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotEnqueued {
    /// Redis does not answer.
    #[error("redis is away: the message was not accepted, send it again")]
    Away,
    /// Redis answers, and refuses.
    #[error("redis {}: the message was not accepted; {}", .0.what(), .0.remedy())]
    Refused(Refusal),
    /// More requests wait than this process may hold.
    #[error("too many messages wait for redis: the message was not accepted, send it again later")]
    Busy,
    /// Redis has the message, but too few replicas have confirmed it.
    #[error(
        "fewer than {0} replicas of redis have confirmed the message (--wait-replicas): it may arrive or be lost; send it again"
    )]
    Unconfirmed(u64),
    /// Redis has too few replicas that follow, so that nothing was written.
    #[error(
        "fewer than {0} replicas of redis follow (--wait-replicas): the message was not accepted, send it again later"
    )]
    Unfollowed(u64),
    /// The queue is as long as it may become.
    #[error("the queue is full ({0} messages, --max-queue): the message was not accepted, send it again later")]
    Full(u64),
}

impl NotEnqueued {
    /// Whether the message was turned away to protect the pipeline, rather than by a fault.
    pub(crate) fn is_shed(self) -> bool {
        matches!(self, Self::Busy | Self::Full(_))
    }
}

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) body: Bytes,
    pub(crate) run: RunTrace,
    pub(crate) id: MsgId,
    /// The trace that it belongs to; its stamp tells it.
    pub(crate) context: Option<Traceparent>,
    /// When the request had been read.
    pub(crate) read: Instant,
}

/// A message, and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) message: Incoming,
    pub(crate) done: oneshot::Sender<Result<(), NotEnqueued>>,
    /// Given back when the request is done.
    #[allow(dead_code, reason = "it is given back by being dropped")]
    pub(crate) bytes: OwnedSemaphorePermit,
}
