//! What all users of one load share. They live on one thread.

use crate::agenda::Agenda;
use crate::answer::Seen;
use crate::connection::ReadBuffer;
use crate::latency::{histogram, record};
use crate::load_plan::{Limit, LoadPlan, Tracing};
use crate::pace::Pace;
use crate::program::{Program, Step};
use crate::segment::Segment;
use crate::show::Shown;
use crate::steps::{Round, RoundTally, StepTally};
use crate::table::{Dealer, Table};
use crate::tally::Tally;
use hdrhistogram::Histogram;
use roaring::RoaringTreemap;
use stamp::{MsgId, clock};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Notify, mpsc};

/// What is measured from one moment to another: rounds belong to the one in which they begin.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The run that messages carry.
    pub(crate) run: String,
    pub(crate) tracing: Option<Tracing>,
    pub(crate) tally: RefCell<Tally>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) program: Arc<Program>,
    pub(crate) pace: Pace,
    pub(crate) agenda: Agenda,
    pub(crate) buffer: RefCell<ReadBuffer>,
    /// Room in which bodies are written.
    pub(crate) scratch: RefCell<Vec<u8>>,
    /// Room for answers that are looked into.
    pub(crate) seen: RefCell<Vec<Seen>>,
    /// What is measured now.
    lane: RefCell<Rc<Lane>>,
    /// What is measured beside that: users' starts and stops.
    pub(crate) around: Rc<Lane>,
    /// Whether anything is: else all belongs to the load.
    has_around: bool,
    pub(crate) dealers: Vec<Dealer>,
    /// The next sequence number of each step.
    sequences: Vec<Cell<u32>>,
    pub(crate) seed: u64,
    pub(crate) segment: Segment,
    /// Requests sent and not answered.
    pub(crate) in_flight: Cell<u64>,
    /// When the last answer came.
    last_answer: Cell<Option<Instant>>,
    /// Response times since the live figures were last renewed, and those of this second before them, µs.
    pub(crate) recent: RefCell<Histogram<u64>>,
    pub(crate) second: RefCell<Histogram<u64>>,
    /// Users who have begun, or failed to.
    pub(crate) there: Cell<u32>,
    /// Those of them who have not gone.
    pub(crate) here: Cell<u32>,
    pub(crate) arrived: Notify,
    /// Users whose start has failed.
    pub(crate) unstarted: Cell<u32>,
    /// Users who are to stop.
    pub(crate) leaving: Cell<u32>,
    pub(crate) show: Option<mpsc::UnboundedSender<Shown>>,
    /// Whether requests end the load by their number, and not rounds.
    counts_requests: bool,
}

impl Lane {
    fn new(run: &str, tracing: Option<Tracing>, program: &Program, keep_ids: bool) -> Rc<Self> {
        let mut tally = Tally { accepted_ids: keep_ids.then(RoaringTreemap::new), ..Tally::new() };
        if program.by_step {
            let step = |step: &Step| StepTally { name: step.name.clone(), ..StepTally::default() };
            tally.steps = program.steps.iter().map(step).collect();
            tally.rounds = program.kinds.iter().map(|kind| vec![RoundTally::default(); kind.tasks.len()]).collect();
        }
        Rc::new(Self { run: run.to_owned(), tracing, tally: RefCell::new(tally) })
    }

    /// Notes a request that has failed.
    pub(crate) fn fail(
        &self,
        step: Option<(usize, &str)>,
        kind: &str,
        intended: Instant,
        answer: impl FnOnce() -> Option<String>,
    ) {
        let mut tally = self.tally.borrow_mut();
        match step {
            Some((number, name)) => {
                crate::steps::count(&mut tally.steps[number].errors, kind);
                let kind = format!("{name}: {kind}");
                if !tally.errors.contains_key(&kind)
                    && let Some(answer) = answer()
                {
                    tally.first_answers.insert(kind.clone(), answer);
                }
                tally.fail(&kind);
            }
            None => tally.fail(kind),
        }
        record(&mut tally.failed, clock::now().duration_since(intended));
    }

    pub(crate) fn begin_round(&self, kind: usize, task: usize) {
        if let Some(rounds) = self.tally.borrow_mut().rounds.get_mut(kind) {
            rounds[task].begun += 1;
        }
    }

    pub(crate) fn round(&self, kind: usize, task: usize, round: &Round) {
        if let Some(rounds) = self.tally.borrow_mut().rounds.get_mut(kind) {
            rounds[task].note(round);
        }
    }
}

impl Shared {
    /// `counts` are the users of each generator by kind.
    pub(crate) fn new(plan: &LoadPlan, tracing: Option<Tracing>, pace: Pace, counts: &[Vec<u32>]) -> Self {
        let program = plan.program.clone();
        let lane = |run: &str, tracing, keep_ids| Lane::new(run, tracing, &program, keep_ids);
        let around = match &plan.around {
            Some(around) => lane(&around.run, around.tracing.clone(), false),
            None => lane("", None, false),
        };
        let lane = lane(&plan.run, tracing, plan.keep_ids);
        let dealer = |(number, table): (usize, &Table)| {
            let takers: Vec<u32> = counts.iter().map(|counts| program.takers(number, counts)).collect();
            Dealer::new(table, plan.segment, &takers)
        };
        Self {
            pace,
            agenda: Agenda::default(),
            buffer: RefCell::default(),
            scratch: RefCell::default(),
            seen: RefCell::default(),
            lane: RefCell::new(lane),
            around,
            has_around: plan.around.is_some(),
            dealers: program.tables.iter().enumerate().map(dealer).collect(),
            sequences: vec![Cell::new(0); program.steps.len()],
            seed: plan.seed,
            segment: plan.segment,
            in_flight: Cell::new(0),
            last_answer: Cell::new(None),
            recent: RefCell::new(histogram()),
            second: RefCell::new(histogram()),
            there: Cell::new(0),
            here: Cell::new(0),
            arrived: Notify::new(),
            unstarted: Cell::new(0),
            leaving: Cell::new(0),
            show: plan.show.clone(),
            counts_requests: plan.limit.is_some_and(Limit::is_of_requests),
            program,
        }
    }

    /// What is measured now.
    pub(crate) fn lane(&self) -> Rc<Lane> {
        self.lane.borrow().clone()
    }

    /// Where a step is measured that is due at this moment: one that the end of the load has cut short of its pause belongs beside it.
    pub(crate) fn lane_of(&self, due: Instant) -> Rc<Lane> {
        if self.has_around && due >= self.pace.end() { self.around.clone() } else { self.lane() }
    }

    /// Measures in this one from now on; gives the one before.
    pub(crate) fn switch(&self, lane: Rc<Lane>) -> Rc<Lane> {
        self.recent.borrow_mut().reset();
        self.second.borrow_mut().reset();
        self.lane.replace(lane)
    }

    /// A user has begun, or failed to.
    pub(crate) fn arrive(&self) {
        self.there.set(self.there.get() + 1);
        self.here.set(self.here.get() + 1);
        self.arrived.notify_one();
    }

    /// A user has gone.
    pub(crate) fn leave(&self) {
        self.here.set(self.here.get().saturating_sub(1));
    }

    /// Whether what is measured now is beside the load.
    pub(crate) fn is_around(&self) -> bool {
        self.has_around && Rc::ptr_eq(&self.lane.borrow(), &self.around)
    }

    /// Whether a user who is between two rounds is to stop.
    pub(crate) fn takes_leave(&self) -> bool {
        let leaving = self.leaving.get();
        self.leaving.set(leaving.saturating_sub(1));
        leaving > 0
    }

    /// The next id of a step. Now and then one is left out: users who take turns would else share the sampled ones out unevenly.
    pub(crate) fn next_id(&self, step: usize, skips: bool) -> MsgId {
        let sequence = self.sequences[step].get().wrapping_add(u32::from(skips));
        self.sequences[step].set(sequence.wrapping_add(1));
        MsgId::compose(self.segment.worker, u16::try_from(step).unwrap_or(0), sequence)
    }

    /// Waits until this moment, or until the end of the load; tells whether the load goes on.
    pub(crate) async fn pause(&self, until: Instant) -> bool {
        self.agenda.until(|| until.min(self.pace.end())).await;
        !self.pace.is_fenced() && until < self.pace.end()
    }

    /// Notes that a request goes out.
    pub(crate) fn send(&self, lane: &Lane, step: usize, intended: Instant, sent: Instant) {
        let mut tally = lane.tally.borrow_mut();
        tally.requests += 1;
        if let Some(step) = tally.steps.get_mut(step) {
            step.requests += 1;
        }
        record(&mut tally.send_delay, sent.duration_since(intended));
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// Notes that what went out is waited for no more.
    pub(crate) fn receive(&self, now: Instant) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        self.last_answer.set(Some(now));
    }

    /// Notes an accepted answer.
    pub(crate) fn accept(&self, lane: &Lane, step: usize, id: MsgId, times: Times) {
        let (service, response) = (times.end.duration_since(times.sent), times.end.duration_since(times.intended));
        let mut tally = lane.tally.borrow_mut();
        record(&mut tally.service, service);
        record(&mut tally.response, response);
        if let Some(step) = tally.steps.get_mut(step) {
            step.accept(response);
        }
        if let Some(ids) = &mut tally.accepted_ids {
            ids.insert(id.get());
        }
        record(&mut self.recent.borrow_mut(), response);
    }

    /// Requests of a round beyond its first.
    pub(crate) fn another_request(&self) {
        if self.counts_requests {
            self.pace.take_one();
        }
    }

    /// Notes that nobody waits any more for what has not been answered.
    pub(crate) fn give_up(&self) {
        let lane = self.lane();
        (0..self.in_flight.take()).for_each(|_| lane.tally.borrow_mut().fail("interrupted"));
    }

    /// When the load stopped sending: at its end, or, where the number of requests ended it, with the last answer. What is waited for after
    /// that is no part of the time over which rates are told: one request that is never answered would change them all.
    pub(crate) fn sending_ended(&self) -> Instant {
        let now = clock::now();
        let ended = if self.pace.is_used_up() { self.last_answer.get() } else { Some(self.pace.end()) };
        ended.unwrap_or(now).min(now)
    }
}

/// The moments of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) intended: Instant,
    pub(crate) sent: Instant,
    pub(crate) end: Instant,
}
