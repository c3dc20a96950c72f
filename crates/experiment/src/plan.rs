//! What an experiment is to do.

use crate::search::SearchPlan;
use crate::setting::Setting;
use analysis::Threshold;
use load::{Arrivals, Endpoint, LoadPlan, Pacing, Program, RequestOptions, StatusSet, Target, Template, Trust};
use stack::StackOptions;
use stamp::{ClockMode, Path, RedisUrl, SampleEvery};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A sweep as data: what is loaded, how, at which levels, and what must hold.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The pipeline.
    pub site: Site,
    /// The Redis list or stream that is its queue.
    pub queue: String,
    /// What makes the load.
    pub generator: Generator,
    /// Workers that make it together, where it is not one generator of this process.
    pub workers: Option<Workers>,
    /// What is sent.
    pub work: Work,
    /// Commands around it.
    pub hooks: Hooks,
    /// Whom an https target must prove itself to.
    pub trust: Trust,
    /// What all loads have in common.
    pub shape: Shape,
    /// A level ends earlier when so many requests have been sent.
    pub requests: Option<u64>,
    /// The levels in the order in which they run; none where a search finds them.
    pub levels: Vec<Setting>,
    /// The search whose trials are the levels.
    pub search: Option<SearchPlan>,
    /// Levels last until somebody ends them: to end one early is no interruption.
    pub open_ended: bool,
    /// The load before each level, which counts nowhere.
    pub warmup: Duration,
    /// 1 message in so many is stamped.
    pub every: SampleEvery,
    /// The stages that messages pass.
    pub path: Path,
    /// How the generator takes its own event times.
    pub clock: ClockMode,
    /// Whether it begins although a stage has no service, or one samples differently.
    pub skip_service_check: bool,
    /// How long a drain may take.
    pub patience: Patience,
    /// A level is carried when its p99 of arrival latency is at most this.
    pub p99_limit: Duration,
    /// What must hold.
    pub thresholds: Vec<Threshold>,
    /// The plan file that means all this, for the report; absent where another program loads.
    pub text: Option<String>,
    /// What it is called from run to run.
    pub subject: Subject,
    /// Who is told when it has ended: it concerns no one but the listener that tells them.
    pub notify: plan::Notify,
    /// What else the report says of the settings, such as the command line.
    pub notes: BTreeMap<String, String>,
}

/// What an experiment is called from run to run: runs of one subject are set beside each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The plan's name, or that of its file; `sweep` or `watch` where there is no plan file.
    pub name: String,
    /// The parameters with which it is run, by their names.
    pub params: BTreeMap<String, String>,
}

/// Where the pipeline is.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a plan")]
pub enum Site {
    /// A private local stack, which is started for the experiment and ended after it.
    Local(StackOptions),
    /// It is already there.
    Remote {
        /// The API under load; absent where another program loads it.
        target: Option<Target>,
        /// The Redis server that holds the queue.
        redis: RedisUrl,
        /// The Redis server that takes the stamps.
        log_store: RedisUrl,
    },
    /// There is none: an API is loaded alone, and nothing is traced.
    Alone {
        /// The API; absent where a plan's users name it.
        target: Option<Target>,
    },
}

/// What is sent.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a plan")]
pub enum Work {
    /// The same request again and again.
    Requests(RequestOptions),
    /// What the users of a plan file do.
    Users(Users),
}

/// Commands around an experiment: before its pipeline is opened, and after all else.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    /// One that fails ends the experiment before it begins.
    pub before: Vec<plan::Hook>,
    /// What fails is told.
    pub after: Vec<plan::Hook>,
    /// What stands in them from the environment.
    pub secrets: plan::Secrets,
}

/// Users who go through steps.
#[derive(Debug, Clone)]
pub struct Users {
    /// Who they are, and what stands around the load.
    pub plan: plan::Plan,
    /// One level, in which their number changes to each of these over the time beside it.
    pub stages: Vec<(u32, Duration)>,
    /// Users at the most, where rounds are due by a rate; absent: [`plan::Load::MAX_USERS`], or as many as there are rows for.
    pub max_users: Option<u32>,
    /// How long rounds under way, and stops of users, may take at the end.
    pub stop_within: Duration,
}

impl Work {
    /// The single request, where there is one.
    pub fn request(&self) -> Option<&RequestOptions> {
        match self {
            Self::Requests(request) => Some(request),
            Self::Users(_) => None,
        }
    }

    /// The users, where there are some.
    pub fn users(&self) -> Option<&Users> {
        match self {
            Self::Users(users) => Some(users),
            Self::Requests(_) => None,
        }
    }
}

/// What makes the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generator {
    /// This program.
    Driver,
    /// wrk, with scripts/post.lua.
    Wrk,
    /// Another program, which is waited for: its messages belong to the run that the experiment is called.
    Other {
        /// The load has ended when no message has come in for so long.
        quiet: Duration,
    },
}

/// Several generators that make the loads together.
#[derive(Debug, Clone)]
pub struct Workers {
    /// So many.
    pub count: u32,
    /// How long they are waited for.
    pub within: Duration,
    /// Their clocks' errors are at most this.
    pub clock_error: Duration,
    /// Whether the experiment goes on when one is lost.
    pub continues: bool,
    /// The executable that knows `worker`: where there is no other pipeline, they are started here.
    pub executable: PathBuf,
}

/// How long a drain may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// It is given up when no counter has moved for so long.
    pub still: Duration,
    /// And after so long in any case.
    pub whole: Duration,
}

/// What all loads of a plan have in common.
#[derive(Debug, Clone)]
pub struct Shape {
    /// How long a load lasts.
    pub duration: Duration,
    /// How long a request may take.
    pub timeout: Duration,
    /// Ramp-up time.
    pub ramp: Duration,
    /// Open loop: how arrivals are spaced.
    pub arrivals: Arrivals,
    /// Open loop: connections at most.
    pub max_connections: u16,
    /// Closed loop: the shortest and the longest pause before a request.
    pub think: Option<(Duration, Duration)>,
    /// What counts as accepted.
    pub accept: StatusSet,
    /// Seed of everything random.
    pub seed: u64,
}

impl Shape {
    /// One load of this shape, in an open loop where there is a rate.
    pub fn load(&self, endpoint: Endpoint, template: Template, connections: u32, rate: Option<f64>) -> LoadPlan {
        let pacing = match rate {
            Some(rate) => Pacing::Open {
                rate,
                arrivals: self.arrivals,
                max_users: u32::from(self.max_connections).max(connections),
            },
            None => Pacing::Closed,
        };
        let think = self.think.filter(|_| rate.is_none());
        let program = Program::single(endpoint, template, self.accept.clone(), self.timeout, think);
        LoadPlan { ramp: self.ramp, seed: self.seed, ..LoadPlan::new(program, pacing, connections, self.duration) }
    }
}
