//! Puts messages on the Redis list: one LPUSH is under way at a time, and takes all that wait.

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use service::{Backoff, Part};
use stamp::{RedisUrl, Wait};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{interval, sleep};
use tracing::{info, warn};

/// Requests that may wait for their turn; beyond it they are refused at once.
const WAITING: usize = 8192;

/// Messages, and bytes, in one LPUSH: Redis serves nobody else while it runs.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1 << 20;

/// How often an idle connection is tried, so that `/readyz` tells the truth.
const PING_PERIOD: Duration = Duration::from_secs(1);

/// Redis does not have the message, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("redis is away: the message was not accepted, send it again")]
pub(crate) struct NotEnqueued;

/// Hands messages to the task that writes them. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Enqueuer {
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Request {
    body: Bytes,
    done: oneshot::Sender<Result<(), NotEnqueued>>,
}

impl Enqueuer {
    pub(crate) fn start(url: RedisUrl, queue: String, redis: Part) -> Self {
        let (requests, waiting) = mpsc::channel(WAITING);
        let writer = Writer { url, queue, redis, connection: None, refused: 0 };
        tokio::spawn(writer.run(waiting));
        Self { requests }
    }

    /// Returns once Redis has the message on its list.
    ///
    /// # Errors
    /// When Redis is away. Where the connection broke while the command was under way, Redis may have the message
    /// after all: the client that sends it again makes a duplicate, and nothing is lost.
    pub(crate) async fn enqueue(&self, body: Bytes) -> Result<(), NotEnqueued> {
        let (done, answer) = oneshot::channel();
        self.requests.try_send(Request { body, done }).map_err(|_| NotEnqueued)?;
        answer.await.map_err(|_| NotEnqueued)?
    }
}

struct Writer {
    url: RedisUrl,
    queue: String,
    redis: Part,
    connection: Option<MultiplexedConnection>,
    /// Commands that have failed since the last one that did not.
    refused: u64,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Request>) {
        let mut ping = interval(PING_PERIOD);
        loop {
            if self.connection.is_none() && !self.reconnect(&mut waiting).await {
                return;
            }
            tokio::select! {
                request = waiting.recv() => match request {
                    Some(first) => self.push(first, &mut waiting).await,
                    None => return,
                },
                _ = ping.tick() => self.ping().await,
            }
        }
    }

    /// Takes a batch, writes it and answers everyone in it.
    async fn push(&mut self, first: Request, waiting: &mut mpsc::Receiver<Request>) {
        let mut bytes = first.body.len();
        let mut batch = vec![first];
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            let Ok(next) = waiting.try_recv() else { break };
            bytes += next.body.len();
            batch.push(next);
        }
        let mut lpush = redis::cmd("LPUSH");
        lpush.arg(&self.queue);
        for request in &batch {
            lpush.arg(request.body.as_ref());
        }
        let enqueued = self.command(&lpush).await;
        for request in batch {
            // A client that has gone away needs no answer.
            let _ = request.done.send(enqueued);
        }
    }

    async fn ping(&mut self) {
        let _ = self.command(&redis::cmd("PING")).await;
    }

    async fn command(&mut self, command: &redis::Cmd) -> Result<(), NotEnqueued> {
        let connection = self.connection.as_mut().ok_or(NotEnqueued)?;
        let result: redis::RedisResult<()> = command.query_async(connection).await;
        match result {
            Ok(()) => {
                self.refused = 0;
                self.redis.set(true);
                Ok(())
            }
            Err(error) => {
                // A server that answers with an error, such as one that is out of memory, is asked again with the next
                // message; a flood of refusals must not become a flood of log lines.
                let keeps = !error.is_unrecoverable_error() && !error.is_timeout() && !error.is_io_error();
                self.refused += 1;
                if self.refused.is_power_of_two() {
                    warn!("messages are refused: {}", self.url.failed(error));
                }
                if !keeps {
                    self.connection = None;
                }
                self.redis.set(false);
                Err(NotEnqueued)
            }
        }
    }

    /// Tries until Redis is back, and refuses at once whatever comes meanwhile. False when no more can come.
    async fn reconnect(&mut self, waiting: &mut mpsc::Receiver<Request>) -> bool {
        let connecting = async {
            let mut backoff = Backoff::default();
            loop {
                match self.url.connect(Wait::BRIEFLY).await {
                    Ok(connection) => return connection,
                    Err(error) if !backoff.is_waiting() => warn!("messages are refused: {error}"),
                    Err(_) => {}
                }
                sleep(backoff.next_delay()).await;
            }
        };
        tokio::pin!(connecting);
        let connection = loop {
            tokio::select! {
                connection = &mut connecting => break connection,
                request = waiting.recv() => match request {
                    Some(request) => { let _ = request.done.send(Err(NotEnqueued)); }
                    None => return false,
                },
            }
        };
        info!("redis at {} is there", self.url);
        self.connection = Some(connection);
        self.redis.set(true);
        true
    }
}
