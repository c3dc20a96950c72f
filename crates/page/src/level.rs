//! The level under way: from what the generator counts, what the pipeline counts and the stamps to figures of the last second, of the last ten, and
//! since it began. Pure but for the moments that it is told.

use crate::series::{Cell, Row};
use crate::shown::{Books, Failure, Generator, Slow, Step, Tiles, Worker};
use crate::spread::{Spread, since};
use analysis::Timeline;
use experiment::Setting;
use live::{Found, Join};
use load::Totals;
use stamp::{Counts, MsgId, Path, Stage, Stamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Seconds that tiles look back.
pub(crate) const WINDOW: usize = 10;

/// A message that was sent on its last hop this long ago and has not arrived is missing.
pub(crate) const MISSING_AFTER: Duration = Duration::from_secs(5);

/// Messages that are shown hop by hop.
const SLOWEST: usize = 10;

/// What a look at the pipeline has brought; absent where there is none, or where it does not answer.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) counts: Option<Counts>,
    pub(crate) backlog: Option<u64>,
}

/// A level under way.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) setting: Setting,
    pub(crate) number: usize,
    pub(crate) of: usize,
    pub(crate) begun: Instant,
    /// What is measured began here, to a second.
    pub(crate) measured_from: Instant,
    /// Whether messages are those of steps.
    by_step: bool,
    /// Whether some of its stamps come from clocks that nobody has compared with the log store's.
    pub(crate) has_foreign_clocks: bool,
    join: Join,
    /// What the generator told last, and when; and the same at the last look.
    totals: Option<(Arc<Totals>, Instant)>,
    before: (Arc<Totals>, Instant),
    counts: Counts,
    /// When it was looked at last.
    pub(crate) looked: Instant,
    fresh: Fresh,
    window: VecDeque<Second>,
    pub(crate) whole: Whole,
    /// What had been counted at the stage before the last one, and when.
    passed: VecDeque<(Instant, u64)>,
    arrived_at: Instant,
}

/// What the stamps have told since the last look.
#[derive(Debug, Default)]
struct Fresh {
    arrival: Spread,
    user: Spread,
    /// Sum and number by hop.
    hops: Vec<(f64, u64)>,
}

/// One second.
#[derive(Debug, Default)]
struct Second {
    lasted_s: f64,
    http: Spread,
    arrival: Spread,
    user: Spread,
    sent: u64,
    accepted: u64,
    failed: u64,
    arrived: u64,
    backlog: Option<u64>,
    in_flight: Option<f64>,
    /// Share of one processor, and p99 of the send delay, µs.
    cpu: Option<f64>,
    send_delay: Spread,
}

/// Since the level began.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) arrival: Spread,
    pub(crate) user: Spread,
    pub(crate) hops: Vec<Spread>,
    steps: BTreeMap<u16, Spread>,
    slowest: Vec<Slow>,
}

impl Level {
    pub(crate) fn new(setting: &Setting, number: usize, of: usize, path: &Path, by_step: bool, now: Instant) -> Self {
        let join = Join::new(path);
        let hops = join.stages().len().saturating_sub(1);
        Self {
            setting: setting.clone(),
            number,
            of,
            begun: now,
            measured_from: now,
            by_step,
            has_foreign_clocks: false,
            join,
            totals: None,
            before: (Arc::default(), now),
            counts: Counts::default(),
            looked: now,
            fresh: Fresh { hops: vec![(0.0, 0); hops], ..Fresh::default() },
            window: VecDeque::new(),
            whole: Whole { hops: vec![Spread::default(); hops], ..Whole::default() },
            passed: VecDeque::new(),
            arrived_at: now,
        }
    }

    /// The generator has told what it has done so far.
    pub(crate) fn tell(&mut self, totals: Arc<Totals>, now: Instant) {
        if totals.requests < self.before.0.requests || (self.before.0.is_around && !totals.is_around) {
            // What is measured has begun anew.
            (self.before, self.measured_from) = ((Arc::default(), now), now);
            self.window.clear();
        }
        self.totals = Some((totals, now));
    }

    pub(crate) fn totals(&self) -> Option<&Totals> {
        self.totals.as_ref().map(|(totals, _)| totals.as_ref())
    }

    /// Whether the users are still on their way, or warm up.
    pub(crate) fn is_spawning(&self) -> bool {
        self.totals().is_some_and(|totals| {
            let wanted = if self.setting.rate.is_none() { self.setting.connections } else { 0 };
            totals.is_around || (self.window.len() < 2 && totals.users < wanted)
        })
    }

    /// Stamps of one stage have come.
    pub(crate) fn stamps(&mut self, stage: usize, stamps: &[Stamp], now: Instant) {
        let t = now.duration_since(self.begun).as_secs_f64();
        self.has_foreign_clocks |= stamps.iter().any(|stamp| stamp.foreign);
        let Self { join, fresh, whole, by_step, .. } = self;
        let intake = join.intake();
        for stamp in stamps {
            join.take(stage, *stamp, |found| match found {
                Found::Hop { from, us } => {
                    let (sum, n) = &mut fresh.hops[from];
                    (*sum, *n) = (*sum + us as f64, *n + 1);
                    whole.hops[from].note(us);
                }
                Found::Arrival { id, us } => {
                    fresh.arrival.note(us);
                    if let (true, Ok(id)) = (*by_step, MsgId::new(id)) {
                        whole.steps.entry(id.connection()).or_default().note(us);
                    }
                }
                Found::User(us) => fresh.user.note(us),
                Found::Whole { id, stamps } => whole.slow(id, t, intake, stamps),
            });
        }
    }

    /// A second has passed: its row, as far as anything is known.
    pub(crate) fn look(&mut self, look: &Look, t: f64, now: Instant) -> Row {
        let mut second = Second { lasted_s: now.duration_since(self.looked).as_secs_f64(), ..Second::default() };
        self.looked = now;
        let mut row = Row { t, level: self.number, ..Row::default() };
        let is_whole = self.generated(&mut second, &mut row);
        self.counted(look, &mut second, &mut row, now);
        self.stamped(&mut second, &mut row);
        second.backlog = look.backlog;
        second.in_flight = row.get(Cell::InFlight);
        row.set(Cell::Backlog, look.backlog.map(|messages| messages as f64));
        if !is_whole {
            // What is measured has begun within it.
            return row;
        }
        self.window.push_back(second);
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
        row
    }

    /// What the generator has done since the last look; false where that is no whole second.
    fn generated(&mut self, second: &mut Second, row: &mut Row) -> bool {
        row.set(Cell::Asked, self.setting.rate);
        let Some((totals, at)) = self.totals.clone() else { return true };
        let (before, before_at) = std::mem::replace(&mut self.before, (totals.clone(), at));
        let lasted_s = at.duration_since(before_at).as_secs_f64();
        if lasted_s <= 0.0 {
            return false;
        }
        second.http.extend(since(&before.response, &totals.response));
        second.send_delay.extend(since(&before.send_delay, &totals.send_delay));
        second.sent = totals.requests - before.requests;
        second.accepted = second.http.n();
        second.failed = failed(&totals).saturating_sub(failed(&before));
        let cpu = totals.cpu.zip(before.cpu).map(|(now, before)| now.saturating_sub(before));
        second.cpu = cpu.map(|cpu| cpu.as_secs_f64() / lasted_s);
        let rate = |count: u64| Some(count as f64 / lasted_s);
        row.set(Cell::Sent, rate(second.sent));
        row.set(Cell::Accepted, rate(second.accepted));
        row.set(Cell::Failed, rate(second.failed));
        row.set(Cell::Users, Some(totals.users.into()));
        row.set(Cell::GeneratorCpu, second.cpu);
        let figures = second.http.figures();
        row.set(Cell::HttpN, Some(figures.n as f64));
        for (cell, us) in [
            (Cell::HttpP50, figures.p50_us),
            (Cell::HttpP90, figures.p90_us),
            (Cell::HttpP99, figures.p99_us),
            (Cell::HttpMax, figures.max_us),
        ] {
            row.set(cell, us.map(|us| us as f64));
        }
        true
    }

    /// What the pipeline has counted since.
    fn counted(&mut self, look: &Look, second: &mut Second, row: &mut Row, now: Instant) {
        // Messages from before all users are there carry another run.
        let Some(counts) = look.counts.as_ref().filter(|_| !self.totals().is_some_and(|totals| totals.is_around))
        else {
            return;
        };
        let before = std::mem::replace(&mut self.counts, counts.clone());
        let moved =
            |level: &Self, count: fn(&Self, &Counts) -> u64| count(level, counts).saturating_sub(count(level, &before));
        second.arrived = moved(self, Self::arrived);
        if second.arrived > 0 {
            self.arrived_at = now;
        }
        let rate = |count: u64| (second.lasted_s > 0.0).then(|| count as f64 / second.lasted_s);
        row.set(Cell::Arrived, rate(second.arrived));
        if self.totals.is_none() {
            // Another program makes the load: what is taken in is what was accepted.
            second.accepted = moved(self, Self::taken_in);
            row.set(Cell::Accepted, rate(second.accepted));
        }
        let stages = self.join.stages();
        let last_hop = stages.len().checked_sub(2).map_or(0, |stage| counts.get(stages[stage].as_str()));
        self.passed.push_back((now, last_hop));
        while self.passed.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= MISSING_AFTER) {
            self.passed.pop_front();
        }
        row.set(Cell::InFlight, Some(self.in_flight() as f64));
        row.set(Cell::Missing, Some(self.missing(now) as f64));
    }

    /// What the stamps have told since.
    fn stamped(&mut self, second: &mut Second, row: &mut Row) {
        let hops = self.fresh.hops.len();
        let fresh = std::mem::replace(&mut self.fresh, Fresh { hops: vec![(0.0, 0); hops], ..Fresh::default() });
        row.hops = fresh.hops.iter().map(|&(sum, n)| (n > 0).then(|| sum / n as f64)).collect();
        let mut heat: BTreeMap<usize, u64> = BTreeMap::new();
        for (us, count) in fresh.arrival.values() {
            *heat.entry(Timeline::bin_of(us.cast_signed())).or_default() += count;
        }
        row.heat = heat.into_iter().collect();
        let figures = fresh.arrival.figures();
        row.set(Cell::ArrivalN, Some(figures.n as f64));
        for (cell, us) in [
            (Cell::ArrivalP50, figures.p50_us),
            (Cell::ArrivalP90, figures.p90_us),
            (Cell::ArrivalP99, figures.p99_us),
            (Cell::ArrivalMax, figures.max_us),
            (Cell::UserP99, fresh.user.quantile(0.99)),
        ] {
            row.set(cell, us.map(|us| us as f64));
        }
        self.whole.arrival.merge(&fresh.arrival);
        self.whole.user.merge(&fresh.user);
        (second.arrival, second.user) = (fresh.arrival, fresh.user);
    }

    /// Messages that the pipeline took in.
    fn taken_in(&self, counts: &Counts) -> u64 {
        let stages = self.join.stages();
        let intake = stages.iter().find(|stage| **stage == Stage::ENQUEUE).unwrap_or(&stages[self.join.intake()]);
        counts.get(intake.as_str())
    }

    /// Messages that have arrived, duplicates apart.
    fn arrived(&self, counts: &Counts) -> u64 {
        let last = self.join.stages().last().map_or(0, |last| counts.get(last.as_str()));
        last.saturating_sub(counts.get("duplicates"))
    }

    /// Messages on their way.
    pub(crate) fn in_flight(&self) -> u64 {
        self.taken_in(&self.counts).saturating_sub(self.arrived(&self.counts))
    }

    /// Messages that were sent on their last hop long ago and have not arrived.
    fn missing(&self, now: Instant) -> u64 {
        let due = self.passed.front().filter(|(at, _)| now.duration_since(*at) >= MISSING_AFTER);
        due.map_or(0, |(_, passed)| passed.saturating_sub(self.arrived(&self.counts)))
    }

    /// Whether another program has sent nothing for some seconds.
    pub(crate) fn is_quiet(&self) -> bool {
        let last = self.window.iter().rev().take(3);
        self.totals.is_none() && self.window.len() >= 3 && last.into_iter().all(|second| second.accepted == 0)
    }

    /// For how long nothing has arrived although messages are on their way.
    pub(crate) fn stalled(&self, now: Instant) -> Option<Duration> {
        (self.in_flight() > 0).then(|| now.duration_since(self.arrived_at)).filter(|time| time.as_secs_f64() >= 1.0)
    }

    pub(crate) fn tiles(&self, now: Instant) -> Tiles {
        let lasted_s: f64 = self.window.iter().map(|second| second.lasted_s).sum();
        let per_s = |of: fn(&Second) -> u64| {
            (lasted_s > 0.0).then(|| self.window.iter().map(of).sum::<u64>() as f64 / lasted_s)
        };
        let spread = |of: fn(&Second) -> &Spread| {
            let mut all = Spread::default();
            self.window.iter().for_each(|second| all.merge(of(second)));
            all.figures()
        };
        let is_ours = self.totals.is_some();
        let is_traced = !self.passed.is_empty();
        Tiles {
            asked: self.setting.rate,
            sent: per_s(|second| second.sent).filter(|_| is_ours),
            accepted: per_s(|second| second.accepted).filter(|_| is_ours || is_traced),
            failed: per_s(|second| second.failed).filter(|_| is_ours),
            arrived: per_s(|second| second.arrived).filter(|_| is_traced),
            http: spread(|second| &second.http),
            arrival: spread(|second| &second.arrival),
            user: spread(|second| &second.user),
            backlog: self.window.back().and_then(|second| second.backlog),
            backlog_per_s: self.slope(|second| second.backlog.map(|messages| messages as f64)),
            in_flight_per_s: self.slope(|second| second.in_flight),
            in_flight: is_traced.then(|| self.in_flight()),
            lost: is_traced.then(|| self.missing(now).cast_signed()),
            stalled_s: self.stalled(now).map(|time| time.as_secs_f64()),
            from: "live",
        }
    }

    /// The slope of a figure over the window, by least squares.
    fn slope(&self, of: fn(&Second) -> Option<f64>) -> Option<f64> {
        let mut at = 0.0;
        let points: Vec<(f64, f64)> = self
            .window
            .iter()
            .filter_map(|second| {
                at += second.lasted_s;
                of(second).map(|value| (at, value))
            })
            .collect();
        let n = points.len() as f64;
        if points.len() < 3 {
            return None;
        }
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let above: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let below: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        (below > 0.0).then(|| above / below)
    }

    pub(crate) fn generator(&self) -> Option<Generator> {
        let totals = self.totals()?;
        let shares: Vec<f64> = self.window.iter().filter_map(|second| second.cpu).collect();
        let cpu_share = (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64);
        let (mut delay, mut http) = (Spread::default(), Spread::default());
        for second in &self.window {
            delay.merge(&second.send_delay);
            http.merge(&second.http);
        }
        let send_delay_p99_us = delay.quantile(0.99);
        // As `Tally::limited_by` judges a load at its end.
        let late = send_delay_p99_us.filter(|us| *us > (2 * http.quantile(0.5).unwrap_or(0)).max(5_000));
        let all = totals.generators.len();
        let lost = totals.generators.iter().filter(|generator| generator.is_lost).count();
        let limited_by = match (cpu_share, late) {
            _ if lost > 0 => {
                Some(format!("{lost} of {} lost, whose share of the load is not sent", stamp::counted(all, "worker")))
            }
            (Some(share), _) if share > 0.95 && totals.generators.is_empty() => {
                Some("its thread is busy all the time".to_owned())
            }
            (_, Some(us)) => Some(format!("1 in 100 requests goes out {:.1} ms late or more", us as f64 / 1e3)),
            _ => None,
        };
        let silent = totals.generators.iter().filter(|generator| generator.is_silent).count();
        let lacks = (silent > 0)
            .then(|| format!("{silent} of {all} workers not heard for some seconds: their share is missing here"));
        let &Totals { waiting, users, in_flight, .. } = totals;
        Some(Generator { cpu_share, send_delay_p99_us, waiting, users, in_flight, limited_by, lacks })
    }

    /// Each generator, where several make the load.
    pub(crate) fn workers(&self) -> Vec<Worker> {
        let worker = |one: &load::Generator| Worker {
            number: one.number,
            host: one.host.clone(),
            requests: one.requests,
            accepted: one.accepted,
            failed: one.errors,
            waiting: one.waiting,
            send_delay_p99_us: one.send_delay_p99_us,
            is_lost: one.is_lost,
            is_silent: one.is_silent,
        };
        self.totals().map(|totals| totals.generators.iter().map(worker).collect()).unwrap_or_default()
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        let Some(totals) = self.totals() else { return Vec::new() };
        let step = |(number, step): (usize, &load::StepTotals)| {
            let mut response = Spread::default();
            response.extend(step.response.iter().copied());
            let arrival = u16::try_from(number).ok().and_then(|number| self.whole.steps.get(&number));
            Step {
                name: step.name.clone(),
                requests: step.requests,
                failed: step.errors,
                response: response.figures(),
                arrival: arrival.map(Spread::figures).unwrap_or_default(),
            }
        };
        totals.steps.iter().enumerate().map(step).filter(|step| step.requests > 0).collect()
    }

    /// Arrival latencies of each step, in the order of their numbers.
    pub(crate) fn step_arrivals(&self) -> impl Iterator<Item = (&str, &Spread)> {
        let of = |number: usize| u16::try_from(number).ok().and_then(|number| self.whole.steps.get(&number));
        let steps = self.totals().map(|totals| &totals.steps[..]).unwrap_or_default();
        steps.iter().enumerate().filter_map(move |(number, step)| Some((step.name.as_str(), of(number)?)))
    }

    /// Failures, the most frequent first; `mask` hides secrets.
    pub(crate) fn failures(&self, mask: impl Fn(&str) -> String) -> Vec<Failure> {
        let Some(totals) = self.totals() else { return Vec::new() };
        let failure = |(kind, &count): (&String, &u64)| Failure {
            kind: mask(kind),
            count,
            answer: totals.first_answers.get(kind).map(|answer| mask(answer)),
        };
        let mut failures: Vec<Failure> = totals.errors.iter().map(failure).collect();
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
        failures
    }

    pub(crate) fn books(&self, now: Instant) -> Books {
        let (totals, counts) = (self.totals(), &self.counts);
        let stages = self.join.stages();
        Books {
            sent: totals.map(|totals| totals.requests),
            accepted: totals
                .map_or_else(|| self.taken_in(counts), |totals| totals.response.iter().map(|(_, count)| count).sum()),
            failed: totals.map(failed),
            arrived: self.arrived(counts),
            duplicates: counts.get("duplicates"),
            in_flight: self.in_flight(),
            backlog: self.window.back().and_then(|second| second.backlog),
            missing: self.missing(now),
            stamps_dropped: stages.iter().map(|stage| counts.get(&format!("dropped.{stage}"))).sum(),
            stages: stages.iter().map(|stage| (stage.to_string(), counts.get(stage.as_str()))).collect(),
        }
    }

    pub(crate) fn slowest(&self) -> &[Slow] {
        &self.whole.slowest
    }
}

impl Whole {
    fn slow(&mut self, id: u64, t: f64, intake: usize, stamps: &[Option<Stamp>]) {
        let (Some(Some(first)), Some(Some(last))) = (stamps.get(intake), stamps.last()) else { return };
        if first.step != last.step {
            return;
        }
        let arrival_us = last.event_us() - first.event_us();
        let place = self.slowest.partition_point(|slow| slow.arrival_us >= arrival_us);
        if place >= SLOWEST {
            return;
        }
        let event = |stamp: &Option<Stamp>| stamp.map_or(0, |stamp| stamp.event_us());
        let hops_us = stamps.windows(2).map(|pair| event(&pair[1]) - event(&pair[0])).collect();
        self.slowest.insert(place, Slow { id, t, arrival_us, hops_us });
        self.slowest.truncate(SLOWEST);
    }
}

fn failed(totals: &Totals) -> u64 {
    totals.errors.values().sum()
}

#[cfg(test)]
mod tests;
