//! The page listens to an experiment, as the progress bar does.

use crate::Page;
use crate::board::{Inner, Session};
use crate::follow::{Following, Source};
use crate::phase::Phase;
use analysis::{Level, Report, Sweep};
use experiment::{Event, Generator, Listener, Setting, Telling};
use load::Live;
use stamp::{LogStore, Path, RunId, clock};
use std::sync::Arc;

impl Page {
    async fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Begun { plan, sweep, pipeline, tracer } => {
                self.source = Some(Source::of(pipeline).await);
                self.path = tracer.map(|_| plan.path.clone());
                let users = plan.work.users();
                let session = Session {
                    sweep: Some((*sweep).clone()),
                    path: self.path.clone(),
                    plan: users.and_then(|users| users.plan.name.clone()),
                    folder: Some(self.out.join(sweep.id.as_str()).display().to_string()),
                    thresholds: plan.thresholds.clone(),
                    secrets: users.map(|users| users.plan.secrets.clone()).unwrap_or_default(),
                    is_of_users: users.is_some(),
                    is_foreign: matches!(plan.generator, Generator::Other { .. }),
                    ..Session::default()
                };
                self.board.change(|inner| inner.begin(session));
            }
            Event::Waiting(waiting) => self.board.change(|inner| inner.mark("workers", waiting)),
            Event::Warning(warning) => self.board.change(|inner| inner.mark("warning", warning)),
            Event::PartLost(lost) => self.board.change(|inner| inner.harm(lost)),
            Event::Paused => self.board.change(|inner| inner.enter(Phase::Paused)),
            Event::WarmUp(_) => self.board.change(|inner| inner.enter(Phase::Warmup)),
            Event::LevelBegun { run, number, of, setting } => {
                self.board.change(|inner| inner.begin_level(setting, *number, *of));
                self.follow(run);
            }
            Event::Tick(live) => self.tick(live),
            Event::Draining(_) if self.following.is_some() => {
                self.board.change(|inner| inner.enter(Phase::Draining));
            }
            Event::GivenUp { run, why } => {
                let text = format!("{run}: not every accepted message has arrived, and {why}");
                self.board.change(|inner| inner.mark("warning", &text));
            }
            Event::Drained => self.drained().await,
            Event::LevelEnded { level, report } => self.board.change(|inner| inner.measured(level, report)),
            Event::Verdict(report) => self.board.change(|inner| inner.conclude(report)),
            Event::Ended => self.end_load(),
            Event::Draining(_) => {}
        }
    }

    fn follow(&mut self, run: &RunId) {
        let source = self.source.take().unwrap_or_default();
        self.following = Some(Following::start(&self.board, source, run, self.path.as_ref()));
    }

    /// Another moment of a load has passed.
    pub fn tick(&mut self, live: &Live) {
        if let (Some(totals), Some(following)) = (live.totals().map(Arc::new), &self.following) {
            self.board.change(|inner| inner.tell(totals.clone(), clock::now()));
            following.told.notify_one();
        }
    }

    /// The level under way has been drained.
    async fn drained(&mut self) {
        // A warm-up is drained, too.
        if let Some(following) = self.following.take() {
            self.source = Some(following.stop().await);
            self.board.change(|inner| {
                inner.end_level();
                inner.enter(Phase::Measuring);
            });
        }
    }

    /// A load begins that is no experiment. Its messages are followed where there is a log store.
    pub fn begin_load(&mut self, sweep: &Sweep, followed: Option<(LogStore, Path)>) {
        let (log, path) = followed.unzip();
        self.source = Some(log.map_or_else(Source::default, Source::of_log));
        self.path.clone_from(&path);
        let session = Session { sweep: Some(sweep.clone()), path, ..Session::default() };
        self.board.change(|inner| inner.begin(session));
    }

    /// A level of it begins.
    pub fn begin_level(&mut self, run: &RunId, setting: &Setting, number: usize) {
        self.board.change(|inner| inner.begin_level(setting, number, number));
        self.follow(run);
    }

    /// A level of it has ended.
    pub async fn end_level(&mut self, level: &Level, report: &Report) {
        self.drained().await;
        self.board.change(|inner| inner.measured(level, report));
    }

    /// It has ended, and what is on its way is waited for.
    pub fn drain_load(&mut self) {
        self.board.change(|inner| inner.enter(Phase::Draining));
    }

    /// What it has come to, in words.
    pub fn conclude_load(&mut self, verdict: String) {
        self.board.change(|inner| inner.say(verdict));
    }

    /// It has ended.
    pub fn end_load(&mut self) {
        self.source = None;
        self.board.change(Inner::end);
    }
}

impl Listener for Page {
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a> {
        Box::pin(self.take(event))
    }

    fn wants_totals(&self) -> bool {
        true
    }
}
