//! A user: begins, goes through rounds of steps, and stops. It is a state machine that the compiler makes of what stands here.

mod step;

use crate::connection::{Connection, Watchdog};
use crate::program::{Kind, OnFailure, Step};
use crate::proof::ProofKey;
use crate::schedule::SplitMix;
use crate::shared::Shared;
use crate::show::Shown;
use crate::steps::Round;
use crate::value::Value;
use stamp::clock;
use std::rc::Rc;
use std::time::{Duration, Instant};

pub(crate) struct User {
    /// Among those of this generator.
    number: u32,
    /// Among those of all generators.
    place: u32,
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
        let place = shared.segment.place(number);
        let random = SplitMix::new(shared.seed ^ (u64::from(place) << 32 | 0x5EED));
        Self {
            number,
            place,
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
        } else {
            shared.unstarted.set(shared.unstarted.get() + 1);
        }
        shared.leave();
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
                let well = self.step(&shared.lane_of(at), index, at).await;
                round.waiting += self.free.saturating_duration_since(at);
                at = self.free;
                if !well {
                    match kind.on_failure {
                        OnFailure::Next => {}
                        OnFailure::Round => round.failed = true,
                        OnFailure::User => (round.failed, next) = (true, Next::Stop),
                        OnFailure::Load => {
                            (round.failed, next) = (true, Next::Stop);
                            lane.tally.borrow_mut().broken_off = true;
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

    fn show_skipped(&self, step: usize, why: &'static str) {
        if let Some(show) = &self.shared.show {
            let _ = show.send(Shown::Skipped { step, why });
        }
    }
}
