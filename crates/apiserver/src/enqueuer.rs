//! Puts messages on the queue: one write to Redis is under way at a time, and takes all that wait.

use crate::request::{Incoming, NotEnqueued, Request};
use crate::writer::Writer;
use std::sync::Arc;
use tokio::sync::{Semaphore, TryAcquireError, mpsc, oneshot};

/// Requests that may wait for their turn; beyond it they are refused at once.
const WAITING: usize = 8192;

/// Bytes that may wait for their turn, over all requests.
const WAITING_BYTES: usize = 64 << 20;

/// Hands messages to the task that writes them. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Enqueuer {
    requests: mpsc::Sender<Request>,
    /// One permit a byte.
    bytes: Arc<Semaphore>,
}

impl Enqueuer {
    pub(crate) fn start(writer: Writer) -> Self {
        let (requests, waiting) = mpsc::channel(WAITING);
        tokio::spawn(writer.run(waiting));
        Self { requests, bytes: Arc::new(Semaphore::new(WAITING_BYTES)) }
    }

    /// Returns once Redis has the message in its queue, and it is counted and stamped.
    /// Fails when Redis is away, or too much waits already. Where the connection broke while the command was under way,
    /// Redis may have the message after all: the client that sends it again makes a duplicate, and nothing is lost.
    pub(crate) async fn enqueue(&self, message: Incoming) -> Result<(), NotEnqueued> {
        let size = u32::try_from(message.body.len()).map_err(|_| NotEnqueued::Busy)?;
        let bytes = self.bytes.clone().try_acquire_many_owned(size).map_err(|error| match error {
            TryAcquireError::NoPermits => NotEnqueued::Busy,
            TryAcquireError::Closed => NotEnqueued::Away,
        })?;
        let (done, answer) = oneshot::channel();
        self.requests.try_send(Request { message, done, bytes }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotEnqueued::Busy,
            mpsc::error::TrySendError::Closed(_) => NotEnqueued::Away,
        })?;
        answer.await.map_err(|_| NotEnqueued::Away)?
    }
}
