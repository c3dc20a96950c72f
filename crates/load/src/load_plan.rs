//! A load as data.

use crate::program::Program;
use crate::schedule::Arrivals;
use crate::segment::Segment;
use crate::show::Shown;
use crate::together::Together;
use serde::{Deserialize, Serialize};
use stamp::{CounterHandle, RunId, RunTrace, Stage, StageHandle, Tracer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How often the live figures are renewed.
pub const LIVE_PERIOD: Duration = Duration::from_millis(250);

/// One load. Other generators can be told of it, but for what is skipped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadPlan {
    /// What users do.
    pub program: Arc<Program>,
    /// The run that messages carry which say so.
    pub run: String,
    /// When.
    pub pacing: Pacing,
    /// Users at the start: in a load of a single request, connections.
    pub users: u32,
    /// How long.
    pub duration: Duration,
    /// The load ends earlier when so much has been sent.
    pub limit: Option<Limit>,
    /// The load ends earlier when this is cancelled.
    #[serde(skip)]
    pub until: Option<CancellationToken>,
    /// Whether the ids of accepted messages are kept.
    pub keep_ids: bool,
    /// Ramp-up time: a closed loop begins its users over it, an open loop reaches its rate.
    pub ramp: Duration,
    /// What comes before the measured time, and users' starts and stops. Absent: all is measured.
    pub around: Option<Around>,
    /// How long what is under way at the end may go on. Absent: until it is answered, or for a second after a load that is ended early.
    pub stop_within: Option<Duration>,
    /// Seed of everything random.
    pub seed: u64,
    /// The part of it that this generator makes.
    pub segment: Segment,
    /// What ties it to the other parts, where there are some.
    #[serde(skip)]
    pub together: Option<Together>,
    /// Whoever wants to see each request and its answer.
    #[serde(skip)]
    pub show: Option<mpsc::UnboundedSender<Shown>>,
}

impl LoadPlan {
    /// A load of users who all begin at once, of which everything is measured, to its end.
    pub fn new(program: Program, pacing: Pacing, users: u32, duration: Duration) -> Self {
        Self {
            program: Arc::new(program),
            run: String::new(),
            pacing,
            users,
            duration,
            limit: None,
            until: None,
            keep_ids: false,
            ramp: Duration::ZERO,
            around: None,
            stop_within: None,
            seed: 1,
            segment: Segment::default(),
            together: None,
            show: None,
        }
    }
}

/// What ends a load by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Requests.
    Requests(u64),
    /// Rounds.
    Rounds(u64),
}

impl Limit {
    pub(crate) fn is_of_requests(self) -> bool {
        matches!(self, Self::Requests(_))
    }

    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Requests(number) | Self::Rounds(number) => number,
        }
    }
}

/// What is not part of the measured time: it begins when all users are there and the warm-up is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Around {
    /// The run that messages of this time carry.
    pub run: String,
    /// Where they are stamped.
    #[serde(skip)]
    pub tracing: Option<Tracing>,
    /// Users that begin a second; absent: all at once.
    pub spawn: Option<f64>,
    /// How long users go through rounds before it counts.
    pub warmup: Duration,
}

/// What decides when a round begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Pacing {
    /// The end of the one before.
    Closed,
    /// A schedule.
    Open {
        /// Rounds a second.
        rate: f64,
        /// How they are spaced.
        arrivals: Arrivals,
        /// Users grow up to this number where they are all busy.
        max_users: u32,
    },
    /// The end of the one before, while the number of users changes to each of these over the time beside it.
    Stages(Vec<(u32, Duration)>),
}

/// Where the generator stamps what it sends.
#[derive(Debug, Clone)]
pub struct Tracing {
    /// The run that the messages belong to.
    pub run: RunTrace,
    /// The stage of the intended send.
    pub send: StageHandle,
    /// The counter of accepted messages.
    pub accepted: CounterHandle,
}

impl Tracing {
    /// Stamps of `run`.
    pub fn new(tracer: &Tracer, run: &RunId) -> Self {
        Self { run: tracer.run(run.as_str()), send: tracer.stage(&Stage::SEND), accepted: tracer.counter("accepted") }
    }

    /// Counts messages that were accepted.
    pub(crate) fn count(&self, accepted: u64) {
        self.run.count(self.accepted, accepted);
    }
}
