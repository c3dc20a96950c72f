//! A user: begins, goes through rounds of steps, and stops. It is a state machine that the compiler makes of what stands here.

use crate::answer::Seen;
use crate::connection::{Connection, Failure, Sent, Watchdog};
use crate::program::{Kind, OnFailure, Step};
use crate::proof::ProofKey;
use crate::response::Answer;
use crate::schedule::SplitMix;
use crate::shared::{Lane, Shared, Times};
use crate::show::{Exchanged, Shown};
use crate::steps::Round;
use crate::template::Values;
use crate::value::Value;
use stamp::{MsgId, clock};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The delay before the next round after one that met no server; it doubles up to the longest one.
const FIRST_DELAY: Duration = Duration::from_millis(10);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// One id in so many is left out.
const SKIPS: u64 = 64;

pub(crate) struct User {
    number: u32,
    kind: usize,
    shared: Rc<Shared>,
    /// One for each site.
    connections: Box<[Connection]>,
    slots: Box<[Value]>,
    rows: Box<[Option<u32>]>,
    cookies: Vec<(String, String)>,
    key: Option<Box<ProofKey>>,
    random: SplitMix,
    sequence: u32,
    request: Vec<u8>,
    watchdog: Watchdog,
    /// It has nothing to do since then.
    free: Instant,
    /// When its next round is due, where rounds are paced.
    due: Instant,
    delay: Duration,
}

/// What a failed step, or the end of the load, leaves to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Round,
    Stop,
}

impl User {
    pub(crate) fn new(number: u32, kind: usize, shared: Rc<Shared>) -> Self {
        let program = &shared.program;
        let now = clock::now();
        // Neighbouring seeds give streams that have nothing to do with each other: SplitMix mixes them.
        let random = SplitMix::new(shared.seed ^ (u64::from(number) << 32 | 0x5EED));
        Self {
            number,
            kind,
            connections: program.sites.iter().map(|_| Connection::default()).collect(),
            slots: vec![Value::default(); program.slots.len()].into(),
            rows: vec![None; program.tables.len()].into(),
            cookies: Vec::new(),
            key: if program.proves(&program.kinds[kind]) { ProofKey::new().map(Box::new) } else { None },
            random,
            sequence: 0,
            request: Vec::new(),
            watchdog: Watchdog::new(),
            free: now,
            due: now,
            delay: Duration::ZERO,
            shared,
        }
    }

    /// Begins at this moment, and goes on until the end of the load. The first round of paced users is due `offset` later.
    pub(crate) async fn run(mut self, begin: Instant, offset: Duration) {
        let shared = self.shared.clone();
        let kind = &shared.program.kinds[self.kind];
        if !shared.pause(begin).await {
            return;
        }
        (self.free, self.due) = (begin, begin + offset);
        let started = self.start(kind).await;
        shared.arrive();
        if started {
            while let Some(due) = self.next_round(kind).await {
                if self.round(kind, due).await == Next::Stop {
                    break;
                }
            }
            self.stop(kind).await;
        }
        for (table, row) in self.rows.iter().enumerate() {
            if let Some(row) = *row {
                shared.dealers[table].give_back(row);
            }
        }
    }

    /// Takes its rows, and does what a user does when it begins; false where something fails.
    async fn start(&mut self, kind: &Kind) -> bool {
        let shared = self.shared.clone();
        for &table in kind.tables.iter().filter(|&&table| shared.program.tables[table].is_per_user()) {
            self.rows[table] = shared.dealers[table].deal(&mut self.random);
            if self.rows[table].is_none() {
                let now = clock::now();
                shared.around.tally.borrow_mut().fail("no row was left for a user");
                self.free = now;
                return false;
            }
        }
        let lane = shared.around.clone();
        for &step in &kind.on_start {
            self.free = clock::now();
            if !self.step(&lane, step, self.free).await {
                return false;
            }
        }
        if !kind.on_start.is_empty() {
            self.due = self.due.max(self.free);
        }
        true
    }

    async fn stop(&mut self, kind: &Kind) {
        let lane = self.shared.around.clone();
        for &step in &kind.on_stop {
            if self.shared.program.steps[step].template.is_complete(&self.slots) {
                self.step(&lane, step, clock::now()).await;
            }
        }
    }

    /// When its next round is meant to begin; none where it is to stop.
    async fn next_round(&mut self, kind: &Kind) -> Option<Instant> {
        let shared = &self.shared;
        if !self.delay.is_zero() {
            let until = clock::now() + self.delay;
            shared.pause(until).await;
            self.free = clock::now();
        }
        if shared.takes_leave() {
            return None;
        }
        match kind.pace {
            Some(pace) if !shared.pace.is_open() => {
                let due = self.due;
                self.due += pace;
                let goes_on = shared.pause(due).await;
                (goes_on && shared.pace.take_one()).then_some(due)
            }
            _ => shared.pace.next_round(self.free).await,
        }
    }

    /// One round of a task.
    async fn round(&mut self, kind: &Kind, due: Instant) -> Next {
        let shared = self.shared.clone();
        let lane = shared.lane();
        for &table in kind.tables.iter().filter(|&&table| !shared.program.tables[table].is_per_user()) {
            self.rows[table] = shared.dealers[table].deal(&mut self.random);
            if self.rows[table].is_none() {
                shared.pace.stop();
                return Next::Stop;
            }
        }
        let number = self.draw(kind);
        lane.begin_round(self.kind, number);
        let (mut at, mut round, mut next, mut first) = (due, Round::default(), Next::Round, true);
        for &index in &kind.tasks[number].steps {
            let step = &shared.program.steps[index];
            if let Some(why) = self.left_out(step, round.failed) {
                self.show_skipped(index, why);
                continue;
            }
            for _ in 0..step.repeat {
                if let Some((least, most)) = step.think {
                    let pause = self.random.between(least, most);
                    (at, round.pauses) = (at + pause, round.pauses + pause);
                    if !shared.pause(at).await {
                        if first && !shared.pace.is_open() {
                            // It has not begun, and nobody had asked for it.
                            return Next::Stop;
                        }
                        // What is left of a round is gone through without pauses once the load has ended.
                        (at, round.is_cut) = (clock::now(), true);
                    }
                }
                if !first {
                    shared.another_request();
                }
                first = false;
                let well = self.step(&lane, index, at).await;
                round.waiting += self.free.saturating_duration_since(at);
                at = self.free;
                if !well {
                    match kind.on_failure {
                        OnFailure::Next => {}
                        OnFailure::Round => round.failed = true,
                        OnFailure::User => (round.failed, next) = (true, Next::Stop),
                        OnFailure::Load => {
                            (round.failed, next) = (true, Next::Stop);
                            shared.pace.stop();
                            shared.agenda.wake_all();
                        }
                    }
                    break;
                }
            }
        }
        round.whole = at.saturating_duration_since(due);
        lane.round(self.kind, number, &round);
        for (value, slot) in self.slots.iter_mut().zip(&shared.program.slots) {
            if slot.of_round {
                value.clear();
            }
        }
        next
    }

    /// Why a step is left out; nothing where it is not.
    fn left_out(&self, step: &Step, failed: bool) -> Option<&'static str> {
        if step.when.is_some_and(|slot| self.slots[slot].get().is_none()) {
            Some("what it waits for was not kept")
        } else if failed && !step.always {
            Some("the round has failed")
        } else if step.always && !step.template.is_complete(&self.slots) {
            Some(if failed {
                "the round has failed, and what it needs was not kept"
            } else {
                "what it needs was not kept"
            })
        } else {
            None
        }
    }

    /// The task of the next round.
    fn draw(&mut self, kind: &Kind) -> usize {
        if kind.tasks.len() == 1 {
            return 0;
        }
        let sum: f64 = kind.tasks.iter().map(|task| task.weight).sum();
        let mut drawn = self.random.unit() * sum;
        kind.tasks
            .iter()
            .position(|task| {
                drawn -= task.weight;
                drawn <= 0.0
            })
            .unwrap_or(0)
    }

    /// Sends a step, and again where its answer says so; tells whether it went well. The user is free from its end on.
    async fn step(&mut self, lane: &Lane, index: usize, intended: Instant) -> bool {
        let shared = self.shared.clone();
        let step = &shared.program.steps[index];
        let id = if shared.program.by_step {
            let skips = self.random.below(SKIPS) == 0;
            shared.next_id(index, skips)
        } else {
            let sequence = self.sequence;
            self.sequence = sequence.wrapping_add(1);
            MsgId::compose(0, u16::try_from(self.number).unwrap_or(u16::MAX), sequence)
        };
        let mut retries = step.retry.as_ref().map_or(0, |(_, times)| *times);
        let mut seen = (step.expected.looks() || shared.show.is_some() || shared.program.kinds[self.kind].cookies)
            .then(|| shared.seen.borrow_mut().pop().unwrap_or_default());
        let mut is_first = true;
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
                Err(Unanswered::Unsendable(why)) => Judged::Failed(why),
                Err(Unanswered::Failure(failure)) => {
                    self.delay = (self.delay * 2).clamp(FIRST_DELAY, LONGEST_DELAY);
                    Judged::Failed(failure.to_string())
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
            user: self.number,
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

    fn show_skipped(&self, step: usize, why: &'static str) {
        if let Some(show) = &self.shared.show {
            let _ = show.send(Shown::Skipped { step, why });
        }
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
