//! Puts messages on the queue: one write to Redis is under way at a time, and takes all that wait.

use crate::writer::Writer;
use bytes::Bytes;
use stamp::{MsgId, RunTrace};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot};

/// Requests that may wait for their turn; beyond it they are refused at once.
const WAITING: usize = 8192;

/// Bytes that may wait for their turn, over all requests.
const WAITING_BYTES: usize = 64 << 20;

/// Why Redis does not have the message, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotEnqueued {
    /// Redis does not answer, or answers with an error.
    #[error("redis is away: the message was not accepted, send it again")]
    Away,
    /// More requests wait than this process may hold.
    #[error("too many messages wait for redis: the message was not accepted, send it again later")]
    Busy,
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

/// Hands messages to the task that writes them. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Enqueuer {
    requests: mpsc::Sender<Request>,
    /// One permit a byte.
    bytes: Arc<Semaphore>,
}

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) body: Bytes,
    pub(crate) run: RunTrace,
    pub(crate) id: MsgId,
    /// When the request had been read.
    pub(crate) read: Instant,
}

/// A message, and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) message: Incoming,
    pub(crate) done: oneshot::Sender<Result<(), NotEnqueued>>,
    /// Given back when the request is done.
    _bytes: OwnedSemaphorePermit,
}

impl Enqueuer {
    pub(crate) fn start(writer: Writer) -> Self {
        let (requests, waiting) = mpsc::channel(WAITING);
        tokio::spawn(writer.run(waiting));
        Self { requests, bytes: Arc::new(Semaphore::new(WAITING_BYTES)) }
    }

    /// Returns once Redis has the message in its queue, and it is counted and stamped.
    ///
    /// # Errors
    /// When Redis is away, or too much waits already. Where the connection broke while the command was under way,
    /// Redis may have the message after all: the client that sends it again makes a duplicate, and nothing is lost.
    pub(crate) async fn enqueue(&self, message: Incoming) -> Result<(), NotEnqueued> {
        let size = u32::try_from(message.body.len()).map_err(|_| NotEnqueued::Busy)?;
        let bytes = self.bytes.clone().try_acquire_many_owned(size).map_err(|error| match error {
            TryAcquireError::NoPermits => NotEnqueued::Busy,
            TryAcquireError::Closed => NotEnqueued::Away,
        })?;
        let (done, answer) = oneshot::channel();
        self.requests.try_send(Request { message, done, _bytes: bytes }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotEnqueued::Busy,
            mpsc::error::TrySendError::Closed(_) => NotEnqueued::Away,
        })?;
        answer.await.map_err(|_| NotEnqueued::Away)?
    }
}
