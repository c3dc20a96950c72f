//! One step of a user: sent, and again where its answer says so; what comes back is judged, kept and counted.

use super::User;
use crate::answer::Seen;
use crate::connection::{Failure, Sent};
use crate::program::Step;
use crate::response::Answer;
use crate::shared::{Lane, Times};
use crate::show::{Exchanged, Shown};
use crate::template::Values;
use stamp::{MsgId, clock};
use std::time::{Duration, Instant};

/// The delay before the next round after one that met no server; it doubles up to the longest one.
const FIRST_DELAY: Duration = Duration::from_millis(10);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// One id in so many is left out.
const SKIPS: u64 = 64;

impl User {
    /// Sends a step, and again where its answer says so; tells whether it went well. The user is free from its end on.
    pub(super) async fn step(&mut self, lane: &Lane, index: usize, intended: Instant) -> bool {
        let shared = self.shared.clone();
        let step = &shared.program.steps[index];
        let id = if shared.program.by_step {
            let skips = self.random.below(SKIPS) == 0;
            shared.next_id(index, skips)
        } else {
            let sequence = self.sequence;
            self.sequence = sequence.wrapping_add(1);
            MsgId::compose(shared.segment.worker, u16::try_from(self.number).unwrap_or(u16::MAX), sequence)
        };
        let mut retries = step.retry.as_ref().map_or(0, |(_, times)| *times);
        let mut seen = (step.expected.looks() || shared.show.is_some() || shared.program.kinds[self.kind].cookies)
            .then(|| shared.seen.borrow_mut().pop().unwrap_or_default());
        let mut is_first = true;
        self.request.clear();
        let well = loop {
            if let Some(seen) = &mut seen {
                seen.clear();
            }
            let answered = self.exchange(lane, step, index, Message { id, intended, is_first }, seen.as_mut()).await;
            is_first = false;
            self.free = clock::now();
            let times = answered.as_ref().ok().map(|&(_, sent)| Times { intended, sent, end: self.free });
            let judged = match answered {
                Ok((answer, sent)) => {
                    self.delay = Duration::ZERO;
                    let took = self.free.duration_since(sent);
                    self.judge(step, answer, seen.as_ref(), took, retries > 0)
                }
                Err(unanswered) => {
                    // Who cannot send waits, too: else it would fail again and again, and let nobody else have a turn.
                    self.delay = (self.delay * 2).clamp(FIRST_DELAY, LONGEST_DELAY);
                    match unanswered {
                        Unanswered::Unsendable(why) => Judged::Failed(why),
                        Unanswered::Failure(failure) => Judged::Failed(failure.to_string()),
                    }
                }
            };
            self.show(index, seen.as_ref(), times, &judged);
            match judged {
                Judged::Well => {
                    if let Some(times) = times {
                        shared.accept(lane, index, id, times);
                    }
                    break true;
                }
                Judged::Again => {
                    retries -= 1;
                    if let Some(step) = lane.tally.borrow_mut().steps.get_mut(index) {
                        step.retries += 1;
                    }
                }
                Judged::Failed(why) => {
                    let named = shared.program.by_step.then_some((index, step.name.as_str()));
                    let excerpt = || match &seen {
                        Some(seen) => seen.excerpt(),
                        None => shared.buffer.borrow().excerpt(),
                    };
                    lane.fail(named, &why, intended, || times.map(|_| excerpt()));
                    break false;
                }
            }
        };
        if let Some(mut seen) = seen {
            seen.clear();
            shared.seen.borrow_mut().push(seen);
        }
        well
    }

    /// One request and its answer.
    async fn exchange(
        &mut self,
        lane: &Lane,
        step: &Step,
        index: usize,
        message: Message,
        seen: Option<&mut Seen>,
    ) -> Result<(Answer, Instant), Unanswered> {
        let shared = self.shared.clone();
        let (endpoint, connection) = (&shared.program.sites[step.site], &mut self.connections[step.site]);
        if connection.ready(endpoint).await? {
            lane.tally.borrow_mut().reconnected += 1;
        }
        let mut values = Values {
            id: message.id,
            run: &lane.run,
            user: self.place,
            slots: &self.slots,
            names: &shared.program.slots,
            rows: &self.rows,
            tables: &shared.program.tables,
            cookies: &self.cookies,
            key: self.key.as_deref(),
            random: &mut self.random,
        };
        step.template
            .write(&mut values, &mut self.request, &mut shared.scratch.borrow_mut())
            .map_err(Unanswered::Unsendable)?;
        let sent = clock::now();
        if message.is_first {
            if step.traced
                && let Some(tracing) = &lane.tracing
            {
                tracing.run.stamp_at(tracing.send, message.id, message.intended);
            }
            shared.send(lane, index, message.intended, sent);
        } else {
            shared.in_flight.set(shared.in_flight.get() + 1);
        }
        let exchange = Sent {
            request: &self.request,
            is_head: step.template.is_head,
            deadline: sent + step.timeout,
            endpoint,
            buffer: &shared.buffer,
        };
        let (answer, anew) = connection.exchange(&exchange, seen, &mut self.watchdog).await;
        if anew {
            lane.tally.borrow_mut().reconnected += 1;
        }
        shared.receive(clock::now());
        Ok((answer?, sent))
    }

    /// What an answer comes to; keeps what is to be kept of it.
    fn judge(&mut self, step: &Step, answer: Answer, seen: Option<&Seen>, took: Duration, may_retry: bool) -> Judged {
        let (status, slots) = (answer.status, &mut self.slots);
        let missing = seen.and_then(|seen| step.expected.keep_always(status, seen, slots));
        if let Some(seen) = seen
            && self.shared.program.kinds[self.kind].cookies
        {
            for (name, value) in seen.cookies() {
                match self.cookies.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => *known = value.into_owned(),
                    None => self.cookies.push((name.into_owned(), value.into_owned())),
                }
            }
        }
        if may_retry && step.retry.as_ref().is_some_and(|(statuses, _)| statuses.contains(status)) {
            return Judged::Again;
        }
        match step.expected.fault(status, seen, took, slots).or(missing) {
            Some(fault) => Judged::Failed(fault),
            None => Judged::Well,
        }
    }

    fn show(&self, index: usize, seen: Option<&Seen>, times: Option<Times>, judged: &Judged) {
        let (Some(show), Some(seen)) = (&self.shared.show, seen) else { return };
        let expected = &self.shared.program.steps[index].expected;
        let own = if matches!(judged, Judged::Well) { &expected.keep[..] } else { &[] };
        let kept = expected.keep_always.iter().chain(own).map(|keep| (keep.slot, self.slots[keep.slot].clone()));
        // Nobody may be left who looks.
        let _ = show.send(Shown::Exchange(Exchanged {
            step: index,
            request: self.request.clone(),
            head: seen.head.clone(),
            body: seen.body.clone(),
            took: times.map_or(Duration::ZERO, |times| times.end.duration_since(times.sent)),
            kept: kept.filter(|(_, value)| value.get().is_some()).collect(),
            again: matches!(judged, Judged::Again),
            failure: if let Judged::Failed(why) = judged { Some(why.clone()) } else { None },
        }));
    }
}

/// A message that is sent.
#[derive(Debug, Clone, Copy)]
struct Message {
    id: MsgId,
    intended: Instant,
    /// It is not asked for again.
    is_first: bool,
}

/// Why there is no answer.
enum Unanswered {
    /// The request could not be made.
    Unsendable(String),
    Failure(Failure),
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// What an answer comes to.
enum Judged {
    Well,
    Again,
    Failed(String),
}
