//! The task that writes to the queue: the connection, the batches, and the queue's limit.

use crate::request::{NotEnqueued, Request};
use redis::FromRedisValue;
use redis::aio::MultiplexedConnection;
use service::queue::{BODY, QueueArgs, QueueKind};
use service::{Backoff, Counter, Gauge, Latency, Part};
use stamp::{RedisUrl, Refusal, StageHandle, Wait, clock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};
use tracing::{info, warn};

/// Messages, and bytes, in one write: Redis serves nobody else while it runs.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1 << 20;

/// How often an idle connection asks for the queue's length, so that `/readyz` and `/metrics` tell the truth.
const LENGTH_PERIOD: Duration = Duration::from_secs(1);

/// How long replicas may take to confirm a write, in milliseconds: less than a connection waits for an answer. While they do not, nothing is written.
const CONFIRMED_WITHIN_MS: u64 = 1000;

/// The same where there is nothing to be confirmed: those who follow say so at once.
const FOLLOWED_WITHIN_MS: u64 = 100;

/// The end of the way to Redis.
pub(crate) struct Writer {
    pub(crate) url: RedisUrl,
    pub(crate) queue: QueueArgs,
    /// The most messages in the queue.
    pub(crate) limit: Option<u64>,
    /// How many replicas must have a message before it is accepted.
    pub(crate) replicas: Option<u64>,
    pub(crate) redis: Part,
    pub(crate) apiserver: StageHandle,
    pub(crate) enqueue: StageHandle,
    pub(crate) enqueued: StageHandle,
    pub(crate) latency: Latency,
    pub(crate) depth: Gauge,
    pub(crate) reconnects: Counter,
}

/// A writer that has been started.
struct Connected<'a> {
    writer: &'a Writer,
    connection: Option<MultiplexedConnection>,
    /// The queue's length when Redis told it last. Others may have added to it, or taken from it, since.
    length: u64,
    /// As many replicas as there must be have confirmed the last write, or are known to follow.
    followed: bool,
    /// Commands that have failed since the last one that did not.
    refused: u64,
    /// Why the last one has failed.
    why: NotEnqueued,
    /// How long to wait before the next attempt to connect: a server that refuses connects all the same, so that only a command that succeeds resets
    /// it.
    backoff: Backoff,
    was_connected: bool,
}

impl Writer {
    pub(crate) async fn run(self, mut waiting: mpsc::Receiver<Request>) {
        let mut connected = Connected {
            writer: &self,
            connection: None,
            length: 0,
            followed: false,
            refused: 0,
            why: NotEnqueued::Away,
            backoff: Backoff::default(),
            was_connected: false,
        };
        let mut tick = interval(LENGTH_PERIOD);
        loop {
            // A server that refuses is connected to all the same, and left again.
            while connected.connection.is_none() {
                if !connected.reconnect(&mut waiting).await {
                    return;
                }
            }
            tokio::select! {
                request = waiting.recv() => match request {
                    Some(first) => connected.write(first, &mut waiting).await,
                    None => return,
                },
                _ = tick.tick() => { let _ = connected.look_after().await; },
            }
        }
    }

    /// The command that adds `batch` and answers with the queue's length.
    fn add(&self, batch: &[Request]) -> redis::Pipeline {
        let mut pipeline = redis::pipe();
        match self.queue.kind {
            QueueKind::List => {
                let lpush = pipeline.cmd("LPUSH").arg(&self.queue.key);
                for request in batch {
                    lpush.arg(request.message.body.as_ref());
                }
            }
            QueueKind::Stream => {
                for request in batch {
                    pipeline
                        .cmd("XADD")
                        .arg(&self.queue.key)
                        .arg("*")
                        .arg(BODY)
                        .arg(request.message.body.as_ref())
                        .ignore();
                }
                pipeline.cmd("XLEN").arg(&self.queue.key);
            }
        }
        pipeline
    }

    /// Counts and stamps what Redis has taken, in a write that began at the given moment: also where the client has gone
    /// away, as the message goes its way all the same. What is refused is in no book but that of refusals.
    fn note(&self, batch: &[Request], began: Instant) {
        let answered = clock::now();
        for Request { message, .. } in batch {
            message.run.stamp_traced(self.apiserver, message.id, message.read, message.context);
            message.run.stamp_at(self.enqueue, message.id, began);
            message.run.stamp_at(self.enqueued, message.id, answered);
            self.latency.observe(answered.duration_since(message.read));
        }
    }

    /// A write that changes nothing: LPUSHX adds to no list that is not there.
    fn probe(&self) -> redis::Pipeline {
        let mut pipeline = redis::pipe();
        pipeline.cmd("LPUSHX").arg(format!("{}:probe", self.queue.key)).arg("").ignore();
        pipeline.add_command(self.length_command());
        pipeline
    }

    fn length(&self) -> redis::Pipeline {
        let mut pipeline = redis::pipe();
        pipeline.add_command(self.length_command());
        pipeline
    }

    fn length_command(&self) -> redis::Cmd {
        let mut command = redis::cmd(match self.queue.kind {
            QueueKind::List => "LLEN",
            QueueKind::Stream => "XLEN",
        });
        command.arg(&self.queue.key);
        command
    }
}

impl Connected<'_> {
    /// Takes a batch, writes it and answers everyone in it.
    async fn write(&mut self, first: Request, waiting: &mut mpsc::Receiver<Request>) {
        let mut bytes = first.message.body.len();
        let mut batch = vec![first];
        // A client that has gone away meanwhile will send its message again.
        batch.retain(|request| !request.done.is_closed());
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            let Ok(next) = waiting.try_recv() else { break };
            if !next.done.is_closed() {
                bytes += next.message.body.len();
                batch.push(next);
            }
        }
        if self.writer.replicas.is_some() && !self.followed {
            // What is written without a replica can be neither accepted nor taken back.
            return answer(batch, Err(self.why));
        }
        let shed = match self.room(batch.len()).await {
            Ok(room) => batch.split_off(room.min(batch.len())),
            Err(error) => return answer(batch, Err(error)),
        };
        if let Some(limit) = self.writer.limit {
            answer(shed, Err(NotEnqueued::Full(limit)));
        }
        if !batch.is_empty() {
            // A push server may have the message before its answer is back here.
            let began = clock::now();
            let enqueued = self.add(&batch).await;
            // What only the replicas have not confirmed is in the queue, and goes its way.
            if matches!(enqueued, Ok(()) | Err(NotEnqueued::Unconfirmed(_))) {
                self.writer.note(&batch, began);
            }
            answer(batch, enqueued);
        }
    }

    /// How many messages the queue has room for, as far as one needs to know for `wanted` of them.
    async fn room(&mut self, wanted: usize) -> Result<usize, NotEnqueued> {
        let Some(limit) = self.writer.limit else { return Ok(wanted) };
        if self.length + wanted as u64 > limit {
            // What is known may be old.
            self.ask_length().await?;
        }
        Ok(usize::try_from(limit.saturating_sub(self.length)).unwrap_or(usize::MAX))
    }

    /// Adds a batch to the queue, and has it confirmed by as many replicas as there must be: one command for the whole batch.
    async fn add(&mut self, batch: &[Request]) -> Result<(), NotEnqueued> {
        let mut command = self.writer.add(batch);
        if let Some(wanted) = self.writer.replicas {
            let (length, replicas): (u64, u64) =
                self.command(command.cmd("WAIT").arg(wanted).arg(CONFIRMED_WITHIN_MS)).await?;
            self.note_length(length);
            self.note_replicas(replicas, wanted, NotEnqueued::Unconfirmed(wanted))?;
        } else {
            let (length,) = self.command(&command).await?;
            self.note_length(length);
        }
        self.is_well();
        Ok(())
    }

    async fn ask_length(&mut self) -> Result<(), NotEnqueued> {
        let (length,) = self.command(&self.writer.length()).await?;
        self.note_length(length);
        Ok(())
    }

    /// What there is to do when nothing comes. While messages are refused, only a write tells whether they still would be: a
    /// server that is out of memory, or has become a replica, still answers questions.
    async fn look_after(&mut self) -> Result<(), NotEnqueued> {
        self.ask_length().await?;
        match self.writer.replicas {
            Some(wanted) if !self.followed => {
                let mut probe = self.writer.probe();
                let (length, replicas): (u64, u64) =
                    self.command(probe.cmd("WAIT").arg(wanted).arg(FOLLOWED_WITHIN_MS)).await?;
                self.note_length(length);
                self.note_replicas(replicas, wanted, NotEnqueued::Unfollowed(wanted))?;
            }
            _ if self.refused > 0 => {
                let (length,) = self.command(&self.writer.probe()).await?;
                self.note_length(length);
            }
            _ => {}
        }
        self.is_well();
        Ok(())
    }

    fn note_length(&mut self, length: u64) {
        self.length = length;
        self.writer.depth.set(length.cast_signed());
    }

    /// Notes how many replicas have confirmed what was written, and refuses for `why` where they are too few.
    fn note_replicas(&mut self, replicas: u64, wanted: u64, why: NotEnqueued) -> Result<(), NotEnqueued> {
        self.followed = replicas >= wanted;
        if self.followed {
            return Ok(());
        }
        self.refused += 1;
        if self.refused.is_power_of_two() {
            let url = &self.writer.url;
            warn!("messages are refused: {replicas} of {wanted} replicas of redis at {url} follow (--wait-replicas)");
        }
        // What comes next is not written.
        self.why = NotEnqueued::Unfollowed(wanted);
        self.writer.redis.set(false);
        Err(why)
    }

    /// Redis takes messages.
    fn is_well(&mut self) {
        if std::mem::take(&mut self.refused) > 0 {
            info!("redis at {} takes messages again", self.writer.url);
        }
        self.backoff.reset();
        self.writer.redis.set(true);
    }

    /// Runs a command.
    async fn command<T: FromRedisValue>(&mut self, command: &redis::Pipeline) -> Result<T, NotEnqueued> {
        let connection = self.connection.as_mut().ok_or(NotEnqueued::Away)?;
        match command.query_async(connection).await {
            Ok(answers) => Ok(answers),
            Err(error) => {
                // A server that answers with an error, such as one that is out of memory, is asked again with the next
                // message; a flood of refusals must not become a flood of log lines.
                let refusal = Refusal::of(&error);
                self.refused += 1;
                if self.refused.is_power_of_two() {
                    warn!("messages are refused: {}", self.writer.url.failed(error));
                }
                if refusal.is_none_or(Refusal::ends_connection) {
                    self.connection = None;
                }
                self.why = refusal.map_or(NotEnqueued::Away, NotEnqueued::Refused);
                self.writer.redis.set(false);
                Err(self.why)
            }
        }
    }

    /// Tries until Redis is back, and refuses at once whatever comes meanwhile. False when no more can come.
    async fn reconnect(&mut self, waiting: &mut mpsc::Receiver<Request>) -> bool {
        let Some(connection) = self.connect(waiting).await else { return false };
        if std::mem::replace(&mut self.was_connected, true) {
            self.writer.reconnects.inc();
        }
        self.connection = Some(connection);
        // It may lead to another server.
        self.followed = false;
        // One that has refused is believed once it has taken something.
        if self.look_after().await.is_ok() {
            info!("redis at {} is there", self.writer.url);
        }
        true
    }

    /// A connection; none when no more messages can come.
    async fn connect(&mut self, waiting: &mut mpsc::Receiver<Request>) -> Option<MultiplexedConnection> {
        let url = &self.writer.url;
        let mut told = self.refused > 0;
        // Where nothing has gone wrong yet, at once.
        let mut delay = if self.was_connected { self.backoff.next_delay() } else { Duration::ZERO };
        loop {
            let attempt = async move {
                sleep(delay).await;
                url.connect(Wait::BRIEFLY).await
            };
            tokio::pin!(attempt);
            let connected = loop {
                tokio::select! {
                    connected = &mut attempt => break connected,
                    request = waiting.recv() => answer([request?], Err(self.why)),
                }
            };
            match connected {
                Ok(connection) => return Some(connection),
                Err(error) => {
                    self.why = error.refusal().map_or(NotEnqueued::Away, NotEnqueued::Refused);
                    if !std::mem::replace(&mut told, true) {
                        warn!("messages are refused: {error}");
                    }
                }
            }
            delay = self.backoff.next_delay();
        }
    }
}

fn answer(batch: impl IntoIterator<Item = Request>, enqueued: Result<(), NotEnqueued>) {
    for request in batch {
        // A client that has gone away needs no answer.
        let _ = request.done.send(enqueued);
    }
}
