//! What happens in an experiment, and who hears of it.

use crate::{Pipeline, Plan, Setting};
use analysis::{Level, Report, Sweep};
use load::Live;
use stamp::{RunId, Tracer};
use std::pin::Pin;

/// What has happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The pipeline answers, and has the services that the plan needs.
    Begun {
        /// What is run.
        plan: &'a Plan,
        /// How the report describes it.
        sweep: &'a Sweep,
        /// What is loaded.
        pipeline: &'a Pipeline,
        /// What the generator stamps with; absent where nothing is traced.
        tracer: Option<&'a Tracer>,
    },
    /// Something that makes figures doubtful, and what to do.
    Warning(&'a str),
    /// A part of the local stack has ended, although it should not, and so does the load: which, and how.
    PartLost(&'a str),
    /// Workers are waited for: how many there are, and what is wrong with others.
    Waiting(&'a str),
    /// The next level waits until somebody lets it begin.
    Paused,
    /// The warm-up before a level begins. It counts nowhere.
    WarmUp(&'a Setting),
    /// The load of a level begins.
    LevelBegun {
        /// Its run.
        run: &'a RunId,
        /// Which it is, counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// What is loaded.
        setting: &'a Setting,
    },
    /// Another moment of a load has passed: [`load::LIVE_PERIOD`].
    Tick(&'a Live),
    /// The load has ended, and the pipeline is being drained.
    Draining(&'a Setting),
    /// The drain was given up, and why.
    GivenUp {
        /// The run whose messages have not all arrived.
        run: &'a RunId,
        /// What was seen.
        why: &'a str,
    },
    /// The pipeline has been drained: nothing of the level is to come.
    Drained,
    /// A level has been measured, and is in the report.
    LevelEnded {
        /// The level.
        level: &'a Level,
        /// All levels so far.
        report: &'a Report,
    },
    /// All levels have been measured, or as many as there was time for, and the thresholds are judged.
    Verdict(&'a Report),
    /// Nothing more is to come.
    Ended,
}

/// What a listener does with an event; the experiment goes on once it has done it.
pub type Telling<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Whoever shows or sends what happens.
pub trait Listener {
    /// Takes an event.
    fn hear<'a>(&'a mut self, event: &'a Event<'_>) -> Telling<'a>;

    /// Whether ticks of levels must bring the load from its start on: putting that together takes the generator time.
    fn wants_totals(&self) -> bool {
        false
    }
}

/// Nobody.
impl Listener for () {
    fn hear<'a>(&'a mut self, _: &'a Event<'_>) -> Telling<'a> {
        Box::pin(async {})
    }
}

/// All listeners, in the order in which they hear.
#[derive(Default)]
pub struct Audience<'a>(Vec<&'a mut dyn Listener>);

impl<'a> Audience<'a> {
    /// These listeners: who comes first hears first.
    pub fn new(listeners: Vec<&'a mut dyn Listener>) -> Self {
        Self(listeners)
    }

    /// Tells them all.
    pub(crate) async fn tell(&mut self, event: &Event<'_>) {
        for listener in &mut self.0 {
            listener.hear(event).await;
        }
    }

    pub(crate) fn wants_totals(&self) -> bool {
        self.0.iter().any(|listener| listener.wants_totals())
    }
}
