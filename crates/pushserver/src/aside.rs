//! Messages that the broker does not take. They go to a list of their own in Redis, `<queue>:unsendable`, so that what is behind them
//! passes and nothing is lost.

use crate::message::Message;
use service::{Backoff, Counter};
use stamp::{RedisUrl, StoreError, Wait};
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{error, warn};

/// The first so many are all logged, and then the 16th, 32nd, 64th …: a flood of them must not become a flood of log lines.
const TOLD_EACH: u64 = 10;

/// Where publishers put what cannot be sent. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Aside {
    // What waits here is held in Redis or was taken from it, which is where it goes: it cannot pile up while Redis is away.
    messages: mpsc::UnboundedSender<Message>,
    list: String,
    counter: Counter,
    told: Arc<AtomicU64>,
}

impl Aside {
    /// The list of a queue, and the task that fills it. The task ends when no publisher is left.
    pub(crate) fn of(queue: &str, url: RedisUrl, counter: Counter) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (messages, waiting) = mpsc::unbounded_channel();
        let list = format!("{queue}:unsendable");
        (Self { messages, list: list.clone(), counter, told: Arc::default() }, keep(waiting, list, url))
    }

    /// Sets a message aside, and says why.
    pub(crate) fn put(&self, message: Message, why: &impl Display) {
        self.counter.inc();
        let count = self.told.fetch_add(1, Ordering::Relaxed) + 1;
        if count <= TOLD_EACH || count.is_power_of_two() {
            let name = message.trace.as_ref().map_or_else(
                || "a message without id".to_owned(),
                |(run, id)| format!("message {id} of run {}", run.id()),
            );
            error!("{name}, {} bytes, is set aside in {} ({count} so far): {why}", message.body.len(), self.list);
        }
        // Nobody takes it only when the process is ending: it is not acknowledged, and stays where it is held.
        let _ = self.messages.send(message);
    }
}

async fn keep(mut waiting: mpsc::UnboundedReceiver<Message>, list: String, url: RedisUrl) {
    let mut backoff = Backoff::default();
    while let Some(message) = waiting.recv().await {
        while let Err(fault) = push(&url, &list, &message.body).await {
            if !backoff.is_waiting() {
                warn!("what is set aside waits: {fault}");
            }
            sleep(backoff.next_delay()).await;
        }
        backoff.reset();
        // Only now may it leave the queue.
        message.published();
    }
}

/// These messages are few: a connection for each costs nothing while there are none.
async fn push(url: &RedisUrl, list: &str, body: &[u8]) -> Result<(), StoreError> {
    let mut connection = url.connect(Wait::BRIEFLY).await?;
    let pushed = redis::cmd("LPUSH").arg(list).arg(body).exec_async(&mut connection).await;
    pushed.map_err(|error| url.failed(error))
}
