//! The Redis half: pops batches from the list.

use crate::Message;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use service::{Backoff, Garbage, Part};
use stamp::{Envelope, RedisUrl, StageHandle, Tracer, Wait, clock};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Seconds that one pop waits on an empty list. A pop is never abandoned, as what it takes would be lost: the
/// shutdown waits for its end instead.
const POP_SECONDS: f64 = 0.5;

/// One connection that pops.
pub(crate) struct Popper {
    pub(crate) url: RedisUrl,
    pub(crate) queue: String,
    pub(crate) batch: u16,
    pub(crate) redis: Part,
    pub(crate) tracer: Tracer,
    pub(crate) stage: StageHandle,
    pub(crate) garbage: Garbage,
}

impl Popper {
    /// Pops until the shutdown.
    pub(crate) async fn run(mut self, messages: mpsc::Sender<Message>, shutdown: CancellationToken) {
        let mut backoff = Backoff::default();
        let mut connection = None;
        while !shutdown.is_cancelled() {
            let Some(connected) = connection.as_mut() else {
                connection = self.connect(&mut backoff, &shutdown).await;
                continue;
            };
            match self.pop(connected).await {
                Ok(batch) => {
                    if backoff.reset() {
                        info!("redis at {} is there", self.url);
                    }
                    self.redis.set(true);
                    let now = clock::now();
                    for body in batch {
                        if messages.send(self.message(body, now)).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    if !backoff.is_waiting() {
                        warn!("nothing is popped: {}", self.url.failed(error));
                    }
                    self.redis.set(false);
                    connection = None;
                    pause(&mut backoff, &shutdown).await;
                }
            }
        }
    }

    async fn connect(&self, backoff: &mut Backoff, shutdown: &CancellationToken) -> Option<MultiplexedConnection> {
        match self.url.connect(Wait::Forever).await {
            Ok(connection) => {
                // After a fault, only a pop that succeeds shows that all is well again.
                if !backoff.is_waiting() {
                    self.redis.set(true);
                }
                return Some(connection);
            }
            Err(error) if !backoff.is_waiting() => warn!("nothing is popped: {error}"),
            Err(_) => {}
        }
        pause(backoff, shutdown).await;
        None
    }

    /// Takes up to a batch from the old end of the list; nothing when the list stayed empty.
    async fn pop(&self, connection: &mut MultiplexedConnection) -> redis::RedisResult<Vec<Vec<u8>>> {
        let mut blmpop = redis::cmd("BLMPOP");
        blmpop.arg(POP_SECONDS).arg(1).arg(&self.queue).arg("RIGHT").arg("COUNT").arg(self.batch);
        let popped: Option<(String, Vec<Vec<u8>>)> = blmpop.query_async(connection).await?;
        Ok(popped.map(|(_, batch)| batch).unwrap_or_default())
    }

    fn message(&mut self, body: Vec<u8>, now: std::time::Instant) -> Message {
        let trace = match Envelope::read(&body) {
            Ok(envelope) => {
                let run = self.tracer.run(envelope.run());
                run.stamp_at(self.stage, envelope.id, now);
                Some((run, envelope.id))
            }
            Err(error) => {
                // It is forwarded all the same: what a message means is for the receiver to say.
                self.garbage.found(&error);
                None
            }
        };
        Message { body: Bytes::from(body), trace }
    }
}

/// Waits before the next attempt, but not beyond the shutdown.
async fn pause(backoff: &mut Backoff, shutdown: &CancellationToken) {
    tokio::select! { () = sleep(backoff.next_delay()) => {}, () = shutdown.cancelled() => {} }
}
