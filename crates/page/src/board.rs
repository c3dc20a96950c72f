//! All that the page shows, and who is told when it changes.

use crate::events::{Due, Events};
use crate::level::{Level, Look};
use crate::options::{PageLimits, PlanOffer, Start};
use crate::phase::Phase;
use crate::result::{Ended, Place};
use crate::series::{Cell, Pushed, Row, Series};
use crate::shown::{Books, Failure, Generator, Slow, Step, Tiles, Worker};
use crate::threshold;
use crate::told::{self, Maker, Now};
use analysis::{Report, Sweep, Threshold, ThresholdVerdict};
use experiment::{Control, Setting, Who};
use load::Totals;
use plan::Secrets;
use serde::Serialize;
use serde_json::{Value, json};
use stamp::{Path, Stamp, clock};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Lines of the log, and marks, that are kept.
const LINES: usize = 200;

/// A point stands for no less than this.
pub(crate) const LEAST: Duration = Duration::from_millis(500);

/// Cheap to clone; all clones are the same board.
#[derive(Debug, Clone)]
pub(crate) struct Board(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// Wakes streams: the number of the last event.
    changed: watch::Sender<u64>,
}

/// What is shown.
#[derive(Debug)]
pub(crate) struct Inner {
    /// Tells this process from one before it.
    pub(crate) boot: String,
    pub(crate) events: Events,
    command: &'static str,
    limits: PageLimits,
    plans: Vec<PlanOffer>,
    pub(crate) starts: Option<mpsc::Sender<Start>>,
    pub(crate) control: Option<Control>,
    pub(crate) stop: Option<CancellationToken>,
    pub(crate) phase: Phase,
    /// Since when.
    since: Instant,
    pub(crate) session: Session,
    pub(crate) level: Option<Level>,
    ended: Option<Place>,
    series: Series,
    marks: VecDeque<Mark>,
    levels: Vec<Ended>,
    log: VecDeque<Line>,
    parts: Vec<Part>,
    failure: Option<String>,
    verdict: Vec<String>,
    verdicts: Vec<ThresholdVerdict>,
    /// For how long nothing arrives, where that has been marked.
    stalled: bool,
}

/// What is run, from its beginning on.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) begun: Option<Instant>,
    pub(crate) sweep: Option<Sweep>,
    /// Absent where nothing is traced.
    pub(crate) path: Option<Path>,
    pub(crate) plan: Option<String>,
    /// Where the report goes.
    pub(crate) folder: Option<String>,
    pub(crate) thresholds: Vec<Threshold>,
    pub(crate) secrets: Secrets,
    /// Whether the load is of users, and not of connections, of which there are no more than ids have room for.
    pub(crate) is_of_users: bool,
    /// Another program makes the load.
    pub(crate) is_foreign: bool,
}

/// Something that happened, for the charts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Mark {
    pub(crate) t: f64,
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Line {
    t: f64,
    text: String,
}

/// A part of the pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) instance: String,
    pub(crate) version: Option<String>,
    /// Share of what it can keep busy, since the last look.
    pub(crate) cpu_share: Option<f64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) clock_error_us: Option<u32>,
    /// Seconds since its last beat; absent where it has none.
    pub(crate) silent_s: Option<f64>,
}

/// What is shown beside the charts, since the level began.
#[derive(Debug, Default, Serialize)]
struct Tables {
    steps: Vec<Step>,
    failures: Vec<Failure>,
    books: Books,
    slowest: Vec<Slow>,
    workers: Vec<Worker>,
}

impl Board {
    pub(crate) fn new(command: &'static str, limits: PageLimits, boot: String) -> Self {
        let inner = Inner {
            boot,
            events: Events::default(),
            command,
            limits,
            plans: Vec::new(),
            starts: None,
            control: None,
            stop: None,
            phase: Phase::Idle,
            since: clock::now(),
            session: Session::default(),
            level: None,
            ended: None,
            series: Series::default(),
            marks: VecDeque::new(),
            levels: Vec::new(),
            log: VecDeque::new(),
            parts: Vec::new(),
            failure: None,
            verdict: Vec::new(),
            verdicts: Vec::new(),
            stalled: false,
        };
        Self(Arc::new(Shared { inner: Mutex::new(inner), changed: watch::Sender::new(0) }))
    }

    /// Changes what is shown, and wakes those who watch.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let changed = change(&mut inner);
        let last = inner.events.last();
        drop(inner);
        self.0.changed.send_replace(last);
        changed
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.lock())
    }

    /// Wakes whenever there is something new.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// A panic elsewhere leaves the board as it was.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(crate) fn offer(&mut self, plans: Vec<PlanOffer>, starts: mpsc::Sender<Start>) {
        (self.plans, self.starts) = (plans, Some(starts));
    }

    /// Another session begins: what was shown goes.
    pub(crate) fn begin(&mut self, session: Session) {
        self.session = Session { begun: Some(clock::now()), ..session };
        (self.level, self.ended, self.failure, self.stalled) = (None, None, None, false);
        (self.levels, self.parts, self.verdict, self.verdicts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        (self.series, self.marks, self.log) = (Series::default(), VecDeque::new(), VecDeque::new());
        self.enter(Phase::Warmup);
        self.events.renew();
    }

    /// Another state, which is told.
    pub(crate) fn enter(&mut self, phase: Phase) {
        if self.phase != phase {
            (self.phase, self.since) = (phase, clock::now());
        }
        self.tell_state();
    }

    /// Tells the state, as what may be done has changed.
    pub(crate) fn tell_state(&mut self) {
        let state = self.head().to_string();
        self.events.push("state", state);
    }

    /// What is run is being made ready; what failed before is over.
    pub(crate) fn prepare(&mut self) {
        self.failure = None;
        self.enter(Phase::Preparing);
    }

    /// What is run has failed, and goes on to its end.
    pub(crate) fn harm(&mut self, why: &str) {
        self.failure = Some(self.mask(why));
        self.mark("fault", why);
        self.tell_state();
    }

    pub(crate) fn fail(&mut self, why: &str) {
        self.failure = Some(self.mask(why));
        self.enter(Phase::Failed);
    }

    pub(crate) fn note(&mut self, text: &str) {
        let line = Line { t: self.t(), text: self.mask(text) };
        self.events.push("log", json!(line).to_string());
        self.log.push_back(line);
        if self.log.len() > LINES {
            self.log.pop_front();
        }
    }

    pub(crate) fn mark(&mut self, kind: &'static str, text: &str) {
        let mark = Mark { t: self.t(), kind, text: self.mask(text) };
        self.events.push("mark", json!(mark).to_string());
        self.marks.push_back(mark);
        if self.marks.len() > LINES {
            self.marks.pop_front();
        }
        self.note(text);
    }

    pub(crate) fn begin_level(&mut self, setting: &Setting, number: usize, of: usize) {
        let now = clock::now();
        let by_step = setting.who != Who::Connections;
        let path = self.session.path.clone().unwrap_or_default();
        self.session.begun.get_or_insert(now);
        self.level = Some(Level::new(setting, number, of, &path, by_step, now));
        self.stalled = false;
        self.mark("level", &format!("level {number}: {setting}"));
        self.enter(Phase::Spawning);
    }

    /// The generator has told what it has done so far.
    pub(crate) fn tell(&mut self, totals: Arc<Totals>, now: Instant) {
        let Some(level) = &mut self.level else { return };
        level.tell(totals, now);
        let phase = if level.is_spawning() { Phase::Spawning } else { Phase::Running };
        if phase != self.phase && matches!(self.phase, Phase::Spawning | Phase::Running) {
            self.enter(phase);
        }
    }

    pub(crate) fn stamps(&mut self, stage: usize, stamps: &[Stamp]) {
        if let Some(level) = &mut self.level {
            level.stamps(stage, stamps, clock::now());
        }
    }

    /// A second has passed, and this was seen.
    pub(crate) fn second(&mut self, look: &Look, parts: Option<Vec<Part>>, now: Instant) {
        let t = self.session.begun.map_or(0.0, |begun| now.duration_since(begun).as_secs_f64());
        if let Some(parts) = parts {
            self.parts = parts;
        }
        let Some(level) = &mut self.level else { return };
        let lasted = now.duration_since(level.looked);
        let row = level.look(look, t, now);
        let stalled = level.stalled(now);
        if self.phase == Phase::Spawning && level.totals().is_none() && row.get(Cell::Accepted) > Some(0.0) {
            // Another program's load has no spawning.
            self.enter(Phase::Running);
        }
        match (stalled, self.stalled) {
            (Some(time), false) => {
                self.stalled = true;
                self.mark("stall", &format!("nothing has arrived for {:.0} s", time.as_secs_f64()));
            }
            (None, true) => {
                self.stalled = false;
                self.mark("stall", "messages arrive again");
            }
            _ => {}
        }
        self.judge();
        self.push(row, lasted);
    }

    fn push(&mut self, row: Row, lasted: Duration) {
        // The rest of a second at the end of a level is no point: its rates tell nothing.
        let pushed = if lasted < LEAST { Pushed::Pending } else { self.series.push(row) };
        if pushed == Pushed::Halved {
            self.events.renew();
            return;
        }
        let row = (pushed == Pushed::Added).then(|| self.series.rows().last()).flatten();
        let tick = json!({ "row": row, "head": self.head(), "now": self.now() }).to_string();
        self.events.push("tick", tick);
    }

    /// Thresholds as they stand.
    fn judge(&mut self) {
        let (Some(level), Some(sweep)) = (&self.level, &self.session.sweep) else { return };
        if !self.session.thresholds.is_empty() {
            self.verdicts = threshold::judge(&self.session.thresholds, sweep, level, clock::now());
        }
    }

    pub(crate) fn end_level(&mut self) {
        let t = self.t();
        if let (Some(level), Some(begun)) = (&self.level, self.session.begun) {
            let from = level.begun.duration_since(begun).as_secs_f64();
            self.ended = Some(Place::of(level, from, t));
        }
    }

    /// The report of a level.
    pub(crate) fn measured(&mut self, level: &analysis::Level, report: &Report) {
        let Some(place) = self.ended.take() else { return };
        let ended = Ended::new(&place, level);
        self.events.push("level", json!(ended).to_string());
        self.levels.push(ended);
        self.level = None;
        self.conclude(report);
        self.tell_state();
    }

    /// What the report says in all.
    pub(crate) fn conclude(&mut self, report: &Report) {
        self.verdict.clone_from(&report.findings.verdict);
        self.verdicts = if report.thresholds.is_empty() {
            self.session.thresholds.iter().map(|threshold| threshold.judge(report)).collect()
        } else {
            report.thresholds.clone()
        };
    }

    /// What came of a load that has no report.
    pub(crate) fn say(&mut self, verdict: String) {
        self.verdict = vec![verdict];
    }

    pub(crate) fn end(&mut self) {
        (self.level, self.control, self.stop) = (None, None, None);
        self.enter(if self.failure.is_some() { Phase::Failed } else { Phase::Done });
    }

    /// A text without the secrets of the plan.
    fn mask(&self, text: &str) -> String {
        self.session.secrets.mask(text)
    }

    /// Seconds since the session began.
    fn t(&self) -> f64 {
        self.session.begun.map_or(0.0, |begun| clock::now().duration_since(begun).as_secs_f64())
    }

    fn tiles(&self) -> Tiles {
        match (&self.level, self.levels.last()) {
            (Some(level), _) => level.tiles(clock::now()),
            (None, Some(ended)) => ended.tiles.clone(),
            (None, None) => Tiles::default(),
        }
    }

    /// What may be done now.
    pub(crate) fn can(&self) -> Vec<&'static str> {
        let is_paused = self.phase == Phase::Paused;
        let is_stopped = self.stop.as_ref().is_some_and(CancellationToken::is_cancelled);
        let changes = self.control.is_some() && self.phase.can_change() && !is_stopped;
        [
            ("start", is_paused && changes || self.starts.is_some() && !self.phase.is_active()),
            ("edit", changes),
            ("pause", changes && !is_paused),
            ("stop", self.phase.is_active() && self.stop.as_ref().is_some_and(|stop| !stop.is_cancelled())),
        ]
        .into_iter()
        .filter_map(|(what, may)| may.then_some(what))
        .collect()
    }

    /// The state of things, in short.
    fn head(&self) -> Value {
        let tiles = self.tiles();
        let now = clock::now();
        let level = self.level.as_ref();
        let setting = level.map(|level| {
            let setting = &level.setting;
            json!({
                "text": setting.to_string(),
                "loop": if setting.rate.is_some() { "open" } else { "closed" },
                "users": setting.connections,
                "rate": setting.rate,
                "spawn": setting.spawn,
                "number": level.number,
                "of": level.of,
                "since_s": now.duration_since(level.begun).as_secs_f64(),
            })
        });
        let is_traced = self.is_traced();
        let users = level.and_then(|level| {
            let wanted = level.setting.connections;
            Some((level.totals()?.users, wanted))
        });
        let session = &self.session;
        let (sentence, trouble) = told::sentence(&Now {
            phase: self.phase,
            tiles: &tiles,
            users,
            is_traced,
            can_start: self.starts.is_some(),
            maker: match level {
                Some(level) if level.is_quiet() => Maker::Silent,
                _ if session.is_foreign => Maker::Another,
                _ => Maker::Driver,
            },
            limit_us: session.sweep.as_ref().map(|sweep| sweep.p99_limit_us),
            verdict: self.verdict.first().map(String::as_str).or((!self.levels.is_empty()).then_some("It has ended.")),
            failure: self.failure.as_deref(),
        });
        json!({
            "state": self.phase,
            "since_s": now.duration_since(self.since).as_secs_f64(),
            "t": self.t(),
            "can": self.can(),
            "sentence": sentence,
            "trouble": trouble,
            "failure": self.failure,
            "verdict": self.verdict,
            "setting": setting,
            "sweep": session.sweep.as_ref().map(|sweep| sweep.id.to_string()),
            "plan": session.plan,
            "every": session.sweep.as_ref().and_then(|sweep| sweep.every),
            "traced": is_traced,
            "foreign_clocks": level.is_some_and(|level| level.has_foreign_clocks),
            "folder": session.folder,
            "thresholds": self.verdicts.iter().map(|verdict| json!({
                "threshold": verdict.threshold,
                "held": verdict.held,
                "told": verdict.told(),
                "measured": verdict.measured.is_some(),
            })).collect::<Vec<_>>(),
        })
    }

    /// Whether messages are followed.
    fn is_traced(&self) -> bool {
        self.session.path.is_some()
    }

    /// Figures of this second.
    fn now(&self) -> Value {
        let now = clock::now();
        let tiles = self.tiles();
        let tables = self.level.as_ref().map(|level| Tables {
            steps: level.steps(),
            failures: level.failures(|text| self.mask(text)),
            books: level.books(now),
            slowest: level.slowest().to_vec(),
            workers: level.workers(),
        });
        json!({
            "window_s": crate::level::WINDOW,
            "backlog_trend": told::trend(&tiles),
            "tiles": tiles,
            "generator": self.level.as_ref().and_then(Level::generator).map_or(Value::Null, |generator: Generator| json!(generator)),
            "tables": tables,
            "parts": self.parts,
        })
    }

    /// All of it: what `GET /api/state` gives, and a stream begins with.
    pub(crate) fn state(&self) -> Value {
        let hops: Vec<String> = self
            .session
            .path
            .iter()
            .flat_map(|path| path.stages().windows(2))
            .map(|pair| format!("{} → {}", pair[0], pair[1]))
            .collect();
        json!({
            "schema_version": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "boot": self.boot,
            "event": self.events.last(),
            "command": self.command,
            "state": self.phase,
            "limits": self.limits,
            "head": self.head(),
            "now": self.now(),
            "points": {
                "step_s": self.series.step(),
                "cells": Cell::names(),
                "hops": hops,
                "rows": self.series.rows(),
            },
            "marks": self.marks,
            "levels": self.levels,
            "log": self.log,
            "plans": self.plans,
        })
    }

    /// The points as TSV.
    pub(crate) fn points(&self) -> String {
        let mut tsv = ["t_s", "level"].into_iter().chain(Cell::names()).collect::<Vec<_>>().join("\t") + "\n";
        for row in self.series.rows() {
            let cells = row.cells.iter().map(|cell| cell.map_or_else(|| "n/a".to_owned(), |value| value.to_string()));
            let all: Vec<String> = [format!("{:.3}", row.t), row.level.to_string()].into_iter().chain(cells).collect();
            tsv.push_str(&all.join("\t"));
            tsv.push('\n');
        }
        tsv
    }

    /// What somebody is to be told who has seen the events of this process up to this one.
    pub(crate) fn due(&self, seen: Option<u64>) -> Due {
        self.events.after(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn eight_hours_stay_within_bounds() {
        let board = Board::new("sweep", PageLimits::default(), "boot".to_owned());
        let begin = clock::now();
        let second = |number: u64| {
            let now = begin + Duration::from_secs(number);
            board.change(|inner| {
                let response = vec![(100, 900 * number), (5_000 + number % 50, number)];
                let errors = BTreeMap::from([("status 503".to_owned(), number)]);
                inner.tell(Arc::new(Totals { requests: 1_000 * number, response, errors, ..Totals::default() }), now);
                let stamp =
                    |time_us| Stamp { id: number, time_us, lag_us: None, err_us: None, step: 0, foreign: false };
                inner.stamps(0, &[stamp(0)]);
                inner.stamps(1, &[stamp(100 + (number % 977).cast_signed())]);
                let counts = [("apiserver".to_owned(), number), ("mqttclient".to_owned(), number)];
                let counts = Some(counts.into_iter().collect());
                inner.second(&Look { counts, backlog: Some(number % 10) }, None, now);
                if number.is_multiple_of(10) {
                    inner.mark("edit", "edited");
                }
            });
        };
        board.change(|inner| {
            inner.begin(Session { path: "apiserver,mqttclient".parse().ok(), ..Session::default() });
            let setting = Setting::all(&[(1, None)], Who::Connections, 1, 0, None).remove(0);
            inner.begin_level(&setting, 1, 1);
        });
        let size = || board.look(|inner| inner.state().to_string().len());
        (1..=3_600).for_each(second);
        let hour = size();
        (3_601..=28_800).for_each(second);
        let (eight, rows) = (size(), board.look(|inner| inner.series.rows().len()));
        assert!(rows <= 3_600 && rows > 1_700, "{rows}");
        // As many rows, each of eight seconds, with more bins.
        assert!(eight < hour * 3 / 2, "{hour} {eight}");
        board.look(|inner| assert!(inner.marks.len() == LINES && inner.log.len() == LINES));
        // A client that was away is told what it missed, or all of it.
        let last = board.look(|inner| inner.events.last());
        assert!(matches!(board.look(|inner| inner.due(Some(last - 50))), Due::Events(events) if events.len() == 50));
        assert!(matches!(board.look(|inner| inner.due(Some(last - 5_000))), Due::Snapshot));
    }
}
