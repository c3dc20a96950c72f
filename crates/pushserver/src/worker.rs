//! The Redis half: a worker takes batches from the queue and hands them to the publisher.

use crate::arguments::{Delivery, Handoff};
use crate::hold::{Hold, HoldError, Taken};
use crate::ledger::{Ledger, Reconciled};
use crate::message::Message;
use crate::turns::Turns;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use service::{Backoff, Counter, Garbage, Outage, Part};
use stamp::{Envelope, RedisUrl, StageHandle, StoreError, Traceparent, Tracer, Wait, clock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Seconds that one pop waits on an empty list. A pop is not abandoned while Redis may still answer, as what it takes would be lost: the
/// shutdown waits for its end instead.
const POP_SECONDS: f64 = 0.5;

/// The most messages that one worker holds in Redis until they are published.
const MOST_HELD: usize = 4096;

/// How long a worker whose queue is empty waits for its messages to be published before it waits for new ones:
/// while it waits for these it cannot drop those.
const SETTLE_WITHIN: Duration = Duration::from_millis(5);

/// The same where that takes long: it doubles up to this.
const LONGEST_SETTLE: Duration = Duration::from_millis(160);

/// How messages leave the queue.
pub(crate) enum Intake {
    /// They are popped from a list, and gone.
    Pop {
        /// The list.
        key: String,
        /// Shared by all workers.
        turns: Turns,
    },
    /// They are held until they are published; or, at most once, until just before.
    Hold(Box<Hold>, Delivery),
}

/// One connection that takes messages.
pub(crate) struct Worker {
    pub(crate) url: RedisUrl,
    /// Beyond it, the server hangs: its name may lead to another one by now.
    pub(crate) answered_within: Duration,
    pub(crate) intake: Intake,
    pub(crate) handoff: Handoff,
    pub(crate) batch: usize,
    pub(crate) redis: Part,
    /// All workers tell of one outage of Redis.
    pub(crate) outage: Outage,
    pub(crate) tracer: Tracer,
    pub(crate) stage: StageHandle,
    pub(crate) garbage: Garbage,
    pub(crate) reconnects: Counter,
    pub(crate) was_connected: bool,
    /// Messages are published with the context of their traces, which MQTT 3.1.1 has no place for.
    pub(crate) tells_context: bool,
    /// The last session ended by an answer of Redis: the next one is no success before something has been taken.
    pub(crate) refused: bool,
    /// What was taken, where somebody has to know when it is published.
    pub(crate) ledger: Ledger,
    /// Messages, the oldest of the ledger, that the last command was to drop from the hold.
    pub(crate) dropping: usize,
    /// Taken and not handed over yet: at most once, from a hold whose last answer has been lost.
    pub(crate) waiting: Vec<Taken>,
}

/// Whom a worker hands over to, and when it stops.
pub(crate) struct Course {
    pub(crate) messages: mpsc::Sender<Message>,
    /// No more is taken.
    pub(crate) shutdown: CancellationToken,
    /// What is not published by now will not be.
    pub(crate) given_up: CancellationToken,
}

impl Worker {
    /// Takes messages until the shutdown, and then waits until what it took is published or given up.
    pub(crate) async fn run(mut self, course: Course) {
        let mut backoff = Backoff::default();
        loop {
            let ended = match self.url.connect(Wait::AtMost(self.answered_within)).await {
                Ok(connection) => {
                    if std::mem::replace(&mut self.was_connected, true) {
                        self.reconnects.inc();
                    }
                    self.session(connection, &course, &mut backoff).await
                }
                Err(error) => Err(error),
            };
            match ended {
                Ok(()) => return,
                Err(error) => {
                    self.refused = error.refusal().is_some();
                    if self.outage.begins() {
                        warn!("nothing is taken from the queue: {error}");
                    }
                }
            }
            self.redis.set(false);
            let stop = if self.ledger.in_flight() == 0 { &course.shutdown } else { &course.given_up };
            tokio::select! { () = sleep(backoff.next_delay()) => {}, () = stop.cancelled() => return }
        }
    }

    /// One connection's life; `Ok` when there is nothing left to do.
    async fn session(
        &mut self,
        mut connection: MultiplexedConnection,
        course: &Course,
        backoff: &mut Backoff,
    ) -> Result<(), StoreError> {
        let found = self.resume(&mut connection).await;
        let mut taken = self.or_anew(found)?;
        // A replica, or a server that is loading, connects all the same: it is well once it has given something up, if only nothing.
        let mut is_well = !self.refused;
        loop {
            if is_well {
                backoff.reset();
                if self.outage.ends() {
                    info!("redis at {} is there", self.url);
                }
                self.redis.set(true);
            }
            (is_well, self.refused) = (true, false);
            if !self.hand_over(taken, &course.messages).await {
                return Ok(());
            }
            if course.shutdown.is_cancelled() {
                return self.finish(&mut connection, course).await;
            }
            let found = self.take(&mut connection, course).await;
            taken = self.or_anew(found)?;
        }
    }

    /// A lease that is lost is no fault of Redis: the worker goes on under a new name.
    fn or_anew(&mut self, found: Result<Vec<Taken>, HoldError>) -> Result<Vec<Taken>, StoreError> {
        if let (Err(HoldError::Lost), Intake::Hold(hold, _)) = (&found, &mut self.intake) {
            hold.begin_anew();
            (self.ledger, self.dropping) = (Ledger::default(), 0);
            self.waiting.clear();
        }
        found.map_err(|error| match error {
            HoldError::Redis(error) => self.url.failed(error),
            error @ HoldError::Lost => self.url.failed(std::io::Error::other(error).into()),
        })
    }

    /// What Redis holds for this worker and the worker does not know of: an answer may have been lost.
    async fn resume(&mut self, connection: &mut MultiplexedConnection) -> Result<Vec<Taken>, HoldError> {
        let Intake::Hold(hold, delivery) = &mut self.intake else { return Ok(Vec::new()) };
        let mut held = hold.resume(connection).await?;
        if *delivery == Delivery::AtMostOnce {
            // What is still held has not been handed over; what has left the hold in the meantime is among those waiting.
            held.retain(|(key, _)| self.waiting.iter().all(|(waiting, _)| waiting != key));
            self.waiting.append(&mut held);
            return self.let_go(connection).await;
        }
        let keys: Vec<&[u8]> = held.iter().map(|(key, _)| key.as_slice()).collect();
        // In a list, messages without an id may be alike.
        let is_unique = hold.is_stream() || keys.iter().all(|key| Envelope::read(key).is_ok());
        let known = self.ledger.reconcile(&keys, std::mem::take(&mut self.dropping), is_unique);
        let Some(Reconciled { done, known }) = known else {
            // Nothing that is published now can be told from the rest: all that is held comes again.
            self.ledger = Ledger::default();
            return Ok(held);
        };
        if done > 0 {
            hold.take(connection, keys[..done].iter().copied(), 0, false).await?;
        }
        Ok(held.split_off(done + known))
    }

    /// Takes what there is; waits for it where nothing else is to be done. Empty when nothing came for a while.
    async fn take(&mut self, connection: &mut MultiplexedConnection, course: &Course) -> Result<Vec<Taken>, HoldError> {
        let awaits_all = self.handoff == Handoff::Inline;
        let mut patience = SETTLE_WITHIN;
        loop {
            self.ledger.note_published();
            let room = MOST_HELD.saturating_sub(self.ledger.len());
            let must_wait = self.ledger.in_flight() > 0 && awaits_all;
            let most = if must_wait { 0 } else { self.batch.min(room) };
            let dropping = self.settled();
            if most == 0 && dropping == 0 {
                tokio::select! {
                    () = self.ledger.more_published() => continue,
                    () = course.shutdown.cancelled() => return Ok(Vec::new()),
                }
            }
            let may_wait = most > 0 && self.ledger.in_flight() == 0;
            let found = match &mut self.intake {
                Intake::Pop { key, turns } => {
                    let turn = tokio::select! {
                        turn = turns.take() => turn,
                        () = course.shutdown.cancelled() => return Ok(Vec::new()),
                    };
                    let found = pop(connection, key, most).await?;
                    turn.end(found.len(), most);
                    found
                }
                Intake::Hold(hold, Delivery::AtMostOnce) => {
                    self.waiting = hold.take(connection, std::iter::empty(), most, may_wait).await?;
                    self.let_go(connection).await?
                }
                Intake::Hold(hold, Delivery::AtLeastOnce) => {
                    self.dropping = dropping;
                    let found = hold.take(connection, self.ledger.settled(), most, may_wait).await?;
                    self.dropping = 0;
                    found
                }
            };
            self.ledger.strike(dropping);
            if !found.is_empty() || may_wait || course.shutdown.is_cancelled() {
                return Ok(found);
            }
            let _ = timeout(patience, self.ledger.more_published()).await;
            patience = (2 * patience).min(LONGEST_SETTLE);
        }
    }

    /// How many messages are to leave the hold. Where nothing is held any more, they just leave the ledger.
    fn settled(&mut self) -> usize {
        let settled = self.ledger.settled().count();
        if matches!(self.intake, Intake::Hold(_, Delivery::AtLeastOnce)) {
            return settled;
        }
        self.ledger.strike(settled);
        0
    }

    /// At most once: the messages leave Redis, and only then come into the hands of anybody who might publish them.
    async fn let_go(&mut self, connection: &mut MultiplexedConnection) -> Result<Vec<Taken>, HoldError> {
        if let Intake::Hold(hold, _) = &mut self.intake
            && !self.waiting.is_empty()
        {
            hold.take(connection, self.waiting.iter().map(|(key, _)| key.as_slice()), 0, false).await?;
        }
        Ok(std::mem::take(&mut self.waiting))
    }

    /// False when there is no publisher any more.
    async fn hand_over(&mut self, taken: Vec<Taken>, messages: &mpsc::Sender<Message>) -> bool {
        let now = clock::now();
        let at_least_once = matches!(self.intake, Intake::Hold(_, Delivery::AtLeastOnce));
        let receipts = at_least_once || self.handoff == Handoff::Inline;
        for (key, body) in taken {
            let receipt = receipts.then(|| self.ledger.enter(key));
            let (trace, context) = self.trace(&body, now).unzip();
            let (body, context) = (Bytes::from(body), context.flatten().map(Box::new));
            let message =
                Message { body, trace, context, taken: now, began: None, written: false, closings: 0, receipt };
            if messages.send(message).await.is_err() {
                return false;
            }
        }
        true
    }

    /// What it is stamped with, and the context of its trace, where that is told.
    fn trace(&mut self, body: &[u8], now: Instant) -> Option<((stamp::RunTrace, stamp::MsgId), Option<Traceparent>)> {
        match Envelope::read(body) {
            Ok(envelope) => {
                let run = self.tracer.run(envelope.run());
                run.stamp_at(self.stage, envelope.id, now);
                let context = if self.tells_context { envelope.traceparent() } else { None };
                Some(((run, envelope.id), context))
            }
            Err(error) => {
                // It is forwarded all the same: what a message means is for the receiver to say.
                self.garbage.found(&error);
                None
            }
        }
    }

    /// After the shutdown: waits until everything is published, drops it, and gives the rest back to the queue.
    async fn finish(&mut self, connection: &mut MultiplexedConnection, course: &Course) -> Result<(), StoreError> {
        while self.ledger.in_flight() > 0 {
            tokio::select! {
                () = self.ledger.more_published() => {}
                () = course.given_up.cancelled() => break,
            }
        }
        let Intake::Hold(hold, delivery) = &mut self.intake else { return Ok(()) };
        let at_least_once = *delivery == Delivery::AtLeastOnce;
        let settled = self.ledger.settled().filter(|_| at_least_once);
        let left = async {
            hold.take(connection, settled, 0, false).await?;
            hold.release(connection).await
        };
        match left.await {
            Ok(0) => {}
            Ok(left) => warn!("{left} messages could not be published and are back in the queue"),
            Err(error) => warn!("what is held stays held until the lease runs out: {error}"),
        }
        Ok(())
    }
}

/// Pops up to `most` from the old end of the list; nothing when the list stayed empty.
async fn pop(connection: &mut MultiplexedConnection, key: &str, most: usize) -> Result<Vec<Taken>, HoldError> {
    let mut blmpop = redis::cmd("BLMPOP");
    blmpop.arg(POP_SECONDS).arg(1).arg(key).arg("RIGHT").arg("COUNT").arg(most);
    let popped: Option<(String, Vec<Vec<u8>>)> = blmpop.query_async(connection).await?;
    Ok(popped.map(|(_, bodies)| bodies.into_iter().map(|body| (Vec::new(), body)).collect()).unwrap_or_default())
}
