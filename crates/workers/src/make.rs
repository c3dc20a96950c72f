//! One load, made by all workers of a crew.

use crate::crew::{Crew, Member};
use crate::error::WorkersError;
use crate::keeper::Keeper;
use crate::standing::Seat;
use crate::wire::{Document, Phase, Task};
use load::{Generator, LIVE_PERIOD, Live, LoadPlan, Pacing, Segment, Snapshot, Tally};
use serde_json::value::RawValue;
use stamp::{StoreError, clock};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// From the moment at which all are ready to that at which they begin: each must have read it by then, also on a busy machine.
const LEAD: Duration = Duration::from_secs(1);

/// From a change of a load under way to the moment at which it holds.
const CHANGE_LEAD: Duration = Duration::from_millis(750);

/// How long workers may take to make themselves ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The load so far is put together when all workers have told of their next second, or are late with it; not sooner than this, or so many times what it took
/// last.
const SOONEST: Duration = Duration::from_millis(500);
const LATE: Duration = Duration::from_millis(800);
const TIMES: u32 = 10;

/// A load that all workers are ready for, and that begins at a moment.
#[derive(Debug)]
pub struct Begun {
    number: u64,
    /// The seats that make it.
    at_work: Vec<usize>,
    /// The share of each in it.
    shares: Vec<f64>,
    /// When it begins.
    pub begin: Instant,
    /// The same in Redis TIME, µs since 1970-01-01 UTC.
    pub begin_us: i64,
}

/// What a crew has made.
#[derive(Debug)]
pub struct Made {
    /// All together. Histograms are merged; percentiles never are.
    pub tally: Tally,
    /// Each part of it.
    pub parts: Vec<Part>,
    /// How much of the load was not sent, where workers were lost: then the load was not the one that was asked for.
    pub lost: Option<String>,
}

/// What one worker has made.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What stands in its messages' ids.
    pub number: u16,
    /// Its name in the registry.
    pub instance: String,
    /// Where it runs.
    pub host: String,
    /// Its share of the load, from 0 to 1.
    pub share: f64,
    /// The bound of its clock's error, µs.
    pub clock_error_us: Option<u32>,
    /// Requests sent, as far as it has told; so it is with all that follows.
    pub requests: u64,
    /// Those that were accepted.
    pub accepted: u64,
    /// Those that were not.
    pub errors: u64,
    /// Requests that were due and never sent.
    pub missed: u64,
    /// From the intended send to the actual one, median, µs; absent where it has sent nothing.
    pub send_delay_p50_us: Option<u64>,
    /// 99th percentile of the same, µs.
    pub send_delay_p99_us: Option<u64>,
    /// How late it began.
    pub late: Option<Duration>,
    /// CPU time of its thread.
    pub cpu: Option<Duration>,
    /// The share of its time that its thread was busy.
    pub cpu_share: Option<f64>,
    /// Why it, and not what was loaded, limited its part; absent where it did not.
    pub limited_by: Option<String>,
    /// When it was lost, from the beginning of the load on, and why.
    pub lost: Option<(Duration, String)>,
    /// It says less than it should: this is what it told before.
    pub is_silent: bool,
}

impl Made {
    /// Why the generator, and not what was loaded, limited the load; none where it did not.
    pub fn limited_by(&self) -> Option<String> {
        let limited = |part: &Part| {
            let why = part.limited_by.as_ref()?;
            Some(format!("worker {} on {}: {why}", part.number, part.host))
        };
        self.lost.clone().or_else(|| self.parts.iter().find_map(limited))
    }

    /// The share of its time that the thread of the busiest worker was busy.
    pub fn cpu_share(&self) -> Option<f64> {
        self.parts.iter().filter_map(|part| part.cpu_share).reduce(f64::max)
    }
}

impl Crew {
    /// Gives a load to the workers that are there, and says when it begins, which is soon. `run` is that under which messages are stamped; absent where they
    /// are not.
    ///
    /// # Errors
    /// When a worker will not make it, they do not become ready, or none is left.
    pub async fn begin(&mut self, plan: &LoadPlan, run: Option<&str>) -> Result<Begun, WorkersError> {
        self.loads += 1;
        let number = self.loads;
        let at_work: Vec<usize> = {
            let seats = self.keeper.seats();
            seats.iter().enumerate().filter(|(_, seat)| seat.is_there()).map(|(at, _)| at).collect()
        };
        self.put(plan, run, number).await?;
        let of = u32::try_from(at_work.len()).unwrap_or(u32::MAX);
        let index = |seat: usize| at_work.iter().position(|at| *at == seat).and_then(|index| u32::try_from(index).ok());
        self.keeper.order(|seat, order| {
            let segment = index(seat).map(|index| Segment { worker: self.members[seat].number, index, of });
            let task = |segment| Task { load: number, segment, begin_us: None, measured_us: None, stop_us: None };
            order.task = segment.map(task);
        });
        let ready = timeout(READY_WITHIN, self.ready(&at_work, number)).await;
        // Whoever reads it has read it by now: it may hold what is secret.
        let _ = self.meeting.0.delete(&stamp::keys::work_load(&self.coordinator, number)).await;
        ready.unwrap_or_else(|_| Err(self.not_ready(&at_work, number)))?;
        let begin = self.moment(LEAD).await?;
        self.each_task(|task| task.begin_us = Some(begin.us));
        let shares = shares(plan, of);
        Ok(Begun { number, at_work, shares, begin: begin.at, begin_us: begin.us })
    }

    /// Waits for a load that begins or has begun, and tells how it goes as [`load::watched`] does, once a second. It ends early as its plan says. A worker that
    /// is lost meanwhile does not end it: what the others make goes on.
    ///
    /// # Errors
    /// When the log store fails.
    pub async fn make(
        &mut self,
        begun: Begun,
        plan: &LoadPlan,
        mut tell: impl AsyncFnMut(&Live),
    ) -> Result<Made, WorkersError> {
        let _guard = Underway(&self.keeper);
        let seen = vec![0; begun.at_work.len()];
        let mut watch = Watch { begun, before: Box::default(), took: Duration::ZERO, seen };
        self.until_ended(plan, &mut watch, &mut tell).await?;
        let made = self.result(&watch);
        let generators = made.parts.iter().map(Part::so_far).collect();
        let snapshot = Snapshot { generators, ..Snapshot::of(&made.tally) };
        tell(&Live { snapshot: Some(Arc::new(snapshot)), ..Live::default() }).await;
        Ok(made)
    }

    /// Writes the load where workers read it.
    async fn put(&self, plan: &LoadPlan, run: Option<&str>, number: u64) -> Result<(), WorkersError> {
        let mut plan = plan.clone();
        for site in &mut Arc::make_mut(&mut plan.program).sites {
            *site = site.portable()?;
        }
        let document = serde_json::to_string(&Document { plan, run: run.map(str::to_owned) })?;
        Ok(self.meeting.put_load(&self.coordinator, number, &document).await?)
    }

    /// Waits until all that are there are ready.
    async fn ready(&self, at_work: &[usize], number: u64) -> Result<(), WorkersError> {
        loop {
            {
                let seats = self.keeper.seats();
                let mut there = at_work.iter().filter(|at| seats[**at].is_there()).peekable();
                if there.peek().is_none() {
                    return Err(self.none_left(&seats, at_work));
                }
                let mut is_ready = true;
                for &at in there {
                    let phase = seats[at].phase(number);
                    if phase == Phase::Refused {
                        let why = seats[at].line.as_ref().and_then(|line| line.why.clone()).unwrap_or_default();
                        let Member { number, host, .. } = &self.members[at];
                        return Err(WorkersError::Refused { worker: format!("{number} on {host}"), why });
                    }
                    is_ready &= phase >= Phase::Ready;
                }
                if is_ready {
                    return Ok(());
                }
            }
            self.keeper.news().await;
        }
    }

    fn not_ready(&self, at_work: &[usize], number: u64) -> WorkersError {
        let seats = self.keeper.seats();
        let late = at_work.iter().filter(|at| seats[**at].is_there() && seats[**at].phase(number) < Phase::Ready);
        let names: Vec<String> = late.map(|at| self.members[*at].told()).collect();
        WorkersError::NotReady { workers: names.join(", "), within: READY_WITHIN }
    }

    fn none_left(&self, seats: &[Seat], at_work: &[usize]) -> WorkersError {
        let why = |at: &usize| Some(format!("{}: {}", self.members[*at].told(), seats[*at].lost.as_ref()?.why));
        WorkersError::NoneLeft(at_work.iter().filter_map(why).collect::<Vec<_>>().join("; "))
    }

    /// A moment, so far from now, here and in Redis TIME.
    async fn moment(&self, lead: Duration) -> Result<Moment, StoreError> {
        let before = clock::now();
        let now_us = self.meeting.0.time_us().await?;
        // Here it is for the table only: half of the way there and back is near enough.
        let asked = before + clock::now().duration_since(before) / 2;
        Ok(Moment { at: asked + lead, us: now_us + i64::try_from(lead.as_micros()).unwrap_or(0) })
    }

    fn each_task(&self, mut change: impl FnMut(&mut Task)) {
        self.keeper.order(|_, order| {
            if let Some(task) = &mut order.task {
                change(task);
            }
        });
    }

    /// Tells how it goes until all have made their parts, or were lost.
    async fn until_ended(
        &self,
        plan: &LoadPlan,
        watch: &mut Watch,
        tell: &mut impl AsyncFnMut(&Live),
    ) -> Result<(), WorkersError> {
        let until = plan.until.clone().unwrap_or_default();
        let (mut is_measured, mut is_stopped) = (plan.around.is_none(), false);
        let mut next = watch.begun.begin + SOONEST;
        loop {
            let phases: Vec<Phase> = {
                let seats = self.keeper.seats();
                let there = watch.begun.at_work.iter().filter(|at| seats[**at].is_there());
                there.map(|at| seats[*at].phase(watch.begun.number)).collect()
            };
            if phases.iter().all(|phase| *phase >= Phase::Ended) {
                return Ok(());
            }
            if !is_measured && phases.iter().all(|phase| *phase >= Phase::There) {
                let measured = self.moment(CHANGE_LEAD).await?;
                self.each_task(|task| task.measured_us = Some(measured.us));
                is_measured = true;
            }
            if !is_stopped && until.is_cancelled() {
                let stop = self.moment(CHANGE_LEAD).await?;
                self.each_task(|task| task.stop_us = Some(stop.us));
                is_stopped = true;
            }
            let is_due =
                clock::now() >= next && (watch.has_all_news(&self.keeper.seats()) || clock::now() >= next + LATE);
            if is_due {
                let began = clock::now();
                watch.seen = watch.lines(&self.keeper.seats());
                let (whole, parts) = self.parts(&watch.begun);
                if whole.tally.broken_off && !is_stopped {
                    let stop = self.moment(CHANGE_LEAD).await?;
                    self.each_task(|task| task.stop_us = Some(stop.us));
                    is_stopped = true;
                }
                let live = watch.live(whole, &parts);
                watch.took = clock::now().duration_since(began);
                next = clock::now() + SOONEST.max(watch.took * TIMES);
                tell(&live).await;
                continue;
            }
            let news = timeout(LIVE_PERIOD, self.keeper.news());
            if is_stopped {
                let _ = news.await;
            } else {
                let _ = until.run_until_cancelled(news).await;
            }
        }
    }

    /// What they have told last: all together, and each by itself. Histograms of one worker at a time are in memory.
    fn parts(&self, begun: &Begun) -> (Snapshot, Vec<Part>) {
        let mut whole = Snapshot::default();
        let seats = self.keeper.seats();
        let part = |(index, &at): (usize, &usize)| {
            let (seat, member) = (&seats[at], &self.members[at]);
            let line = seat.line.as_ref().filter(|line| line.load == Some(begun.number));
            let mut snapshot = line.and_then(|line| snapshot(line.snapshot.as_deref()?)).unwrap_or_default();
            if !seat.is_there() && snapshot.is_around {
                // It was lost before any of it was measured.
                let around = Some(Box::new(snapshot.tally));
                snapshot = Snapshot { tally: Tally { around, ..Tally::new() }, ..Snapshot::default() };
            }
            whole.add(&snapshot);
            let share = begun.shares[index];
            // Who has made its part, or had none, leaves nothing unsent.
            let is_missed = share > 0.0 && seat.phase(begun.number) != Phase::Ended;
            let lost = seat.lost.as_ref().filter(|_| is_missed);
            let tally = &snapshot.tally;
            let delay = |quantile| (!tally.send_delay.is_empty()).then(|| tally.send_delay.value_at_quantile(quantile));
            Part {
                number: member.number,
                instance: member.instance.clone(),
                host: member.host.clone(),
                share,
                clock_error_us: line.and_then(|line| line.clock_error_us),
                requests: tally.requests,
                accepted: tally.accepted(),
                errors: tally.failed(),
                missed: tally.missed,
                send_delay_p50_us: delay(0.5),
                send_delay_p99_us: delay(0.99),
                late: tally.late,
                cpu: tally.cpu,
                cpu_share: tally.cpu_share().filter(|share| share.is_finite()),
                limited_by: if lost.is_none() { tally.limited_by() } else { None },
                lost: lost.map(|lost| (lost.at.saturating_duration_since(begun.begin), lost.why.clone())),
                is_silent: seat.is_there() && seat.is_silent(),
            }
        };
        let parts = begun.at_work.iter().enumerate().map(part).collect();
        (whole, parts)
    }

    fn result(&self, watch: &Watch) -> Made {
        let (whole, parts) = self.parts(&watch.begun);
        let lost: Vec<&Part> = parts.iter().filter(|part| part.lost.is_some()).collect();
        let told = (!lost.is_empty()).then(|| {
            let first =
                lost.iter().filter_map(|part| part.lost.as_ref()).map(|(after, _)| *after).min().unwrap_or_default();
            let share = lost.iter().map(|part| part.share).sum::<f64>() * 100.0;
            let who: Vec<String> = lost
                .iter()
                .map(|part| {
                    let why = part.lost.as_ref().map_or("", |(_, why)| why);
                    format!("worker {} on {}: {why}", part.number, part.host)
                })
                .collect();
            format!(
                "{} of {} lost at {:.1} s: {share:.0} % of the load was not sent from then on ({})",
                lost.len(),
                stamp::counted(parts.len(), "worker"),
                first.as_secs_f64(),
                who.join("; ")
            )
        });
        Made { tally: whole.tally, lost: told, parts }
    }
}

impl Member {
    pub(crate) fn told(&self) -> String {
        format!("{} ({} on {})", self.number, self.instance, self.host)
    }
}

/// A load under way: when it is given up, nobody goes on with it.
struct Underway<'a>(&'a Keeper);

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.order(|_, order| order.task = None);
    }
}

/// A moment, here and in Redis TIME.
struct Moment {
    at: Instant,
    us: i64,
}

/// A load under way.
struct Watch {
    begun: Begun,
    /// All together, when it was put together last, and when that was.
    before: Box<(Snapshot, Option<Instant>)>,
    /// How long that took.
    took: Duration,
    /// The lines that it was put together of.
    seen: Vec<u64>,
}

impl Watch {
    /// What each worker's newest line with figures of this load is called; 0 where there is none.
    fn lines(&self, seats: &[Seat]) -> Vec<u64> {
        let line = |at: &usize| seats[*at].line.as_ref().filter(|line| line.snapshot.is_some());
        self.begun.at_work.iter().map(|at| line(at).map_or(0, |line| line.number)).collect()
    }

    /// Whether each worker of which something is to be expected has told more than was put together last.
    fn has_all_news(&self, seats: &[Seat]) -> bool {
        let lines = self.lines(seats);
        let mut at_work = self.begun.at_work.iter().zip(lines.iter().zip(&self.seen));
        at_work.all(|(at, (line, seen))| {
            let seat = &seats[*at];
            line > seen || !seat.is_there() || seat.is_silent() || seat.phase(self.begun.number) >= Phase::Ended
        })
    }

    fn live(&mut self, whole: Snapshot, parts: &[Part]) -> Live {
        let now = clock::now();
        let (before, at) = &*self.before;
        // What is measured may have begun anew.
        let is_anew = whole.tally.accepted() < before.tally.accepted();
        let mut recent = whole.tally.response.clone();
        if !is_anew {
            // What was recorded before is recorded now, so that this cannot fail.
            let _ = recent.subtract(&before.tally.response);
        }
        let period = now.duration_since(at.unwrap_or(self.begun.begin).min(now));
        let live = Live::of(&recent, period.max(LIVE_PERIOD));
        *self.before = (whole.clone(), Some(now));
        let whole = Snapshot { generators: parts.iter().map(Part::so_far).collect(), ..whole };
        Live { snapshot: Some(Arc::new(whole)), ..live }
    }
}

impl Part {
    fn so_far(&self) -> Generator {
        Generator {
            number: self.number,
            host: self.host.clone(),
            requests: self.requests,
            accepted: self.accepted,
            errors: self.errors,
            waiting: self.missed,
            send_delay_p99_us: self.send_delay_p99_us.unwrap_or_default(),
            cpu: self.cpu,
            is_lost: self.lost.is_some(),
            is_silent: self.is_silent,
        }
    }
}

/// The share of each of so many workers in a load, from 0 to 1: in a closed loop, of its users.
fn shares(plan: &LoadPlan, of: u32) -> Vec<f64> {
    let users = match &plan.pacing {
        Pacing::Open { .. } => 0,
        Pacing::Closed => plan.users,
        Pacing::Stages(stages) => stages.iter().map(|(users, _)| *users).max().unwrap_or(0).max(plan.users),
    };
    let share = |segment: Segment| {
        if users == 0 { 1.0 / f64::from(of) } else { segment.count(users.into()) as f64 / f64::from(users) }
    };
    (Segment { of, ..Segment::default() }).all().map(share).collect()
}

fn snapshot(text: &RawValue) -> Option<Snapshot> {
    serde_json::from_str(text.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crew::order;
    use crate::wire::Line;

    #[test]
    fn a_worker_that_says_nothing_is_not_waited_for() {
        let now = clock::now();
        let begun = Begun { number: 1, at_work: vec![0, 1], shares: vec![0.5; 2], begin: now, begin_us: 0 };
        let mut watch = Watch { begun, before: Box::default(), took: Duration::ZERO, seen: vec![0; 2] };
        let mut seats = ["a", "b"].map(|worker| Seat::new(worker.to_owned(), order("c")));
        let says = |seats: &mut [Seat], at: usize, number, snapshot| {
            let snapshot = Some(snapshot).filter(|told| *told).and_then(|_| serde_json::value::to_raw_value(&0).ok());
            let (phase, why, clock_error_us) = (Phase::There, None, None);
            let worker = seats[at].worker.clone();
            seats[at].hear(Line { worker, number, load: Some(1), phase, why, clock_error_us, snapshot }, now);
        };
        says(&mut seats, 0, 1, true);
        says(&mut seats, 1, 1, false);
        assert!(!watch.has_all_news(&seats), "one has no figures yet");
        says(&mut seats, 1, 2, true);
        assert!(watch.has_all_news(&seats));
        watch.seen = watch.lines(&seats);
        says(&mut seats, 0, 2, true);
        assert!(!watch.has_all_news(&seats));
        seats[1].wait(Duration::from_secs(2), now);
        assert!(watch.has_all_news(&seats));
    }
}
