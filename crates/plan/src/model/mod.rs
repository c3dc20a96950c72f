//! A plan as data. Every name is resolved: a text knows where each of its parts comes from.

mod data;
mod experiments;
mod load;
mod notify;
mod span_map;
mod text;
mod users;

pub use data::{Data, Rows, Take};
pub use experiments::{Search, SearchOver, Vary};
pub use load::{Amount, Arrivals, Load, Stage};
pub use notify::{Notify, NotifyWhen};
pub use span_map::{IdOf, RunOf, SpanMap, SpanRule, SpanTime};
pub use text::{Body, Function, Json, Part, Text, Value};
pub use users::{Expect, Hook, Keep, KeepFrom, OnFailure, Retry, Share, Span, Step, StepOrHook, Task, UserKind};

use crate::problem::Place;
use crate::secrets::Secrets;
use std::collections::BTreeMap;
use std::fmt;

/// A whole plan.
#[derive(Clone, Default, PartialEq)]
pub struct Plan {
    /// What it is called.
    pub name: Option<String>,
    /// Its parameters, as they were set in the end.
    pub params: BTreeMap<String, String>,
    /// Where requests go whose path begins with `/`.
    pub target: Option<String>,
    /// The pipeline behind it.
    pub pipeline: Option<Pipeline>,
    /// Tables of values, by their number.
    pub data: Vec<Data>,
    /// Values kept from answers, by their number.
    pub kept: Vec<Kept>,
    /// Once, before the load.
    pub setup: Vec<StepOrHook>,
    /// Once, after the drain.
    pub teardown: Vec<StepOrHook>,
    /// Who makes the load; none is one kind of user that sends envelopes, as `driver sweep` does.
    pub users: Vec<UserKind>,
    /// How much.
    pub load: Load,
    /// The search that finds how much, instead.
    pub search: Option<Search>,
    /// The parameters whose values are combined, a run for each combination.
    pub vary: Option<Vary>,
    /// What must hold, as it is written.
    pub thresholds: Vec<Threshold>,
    /// Who is told when it has ended.
    pub notify: Notify,
    /// The files that it names, and where.
    pub files: Vec<(Place, String)>,
    /// What came from the environment, wherever it now stands.
    pub secrets: Secrets,
}

/// The pipeline behind the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Where it is.
    pub place: PipelinePlace,
    /// Commands before the load.
    pub before: Vec<Hook>,
    /// Commands after it.
    pub after: Vec<Hook>,
}

/// How a private local stack is started, by the names of its parts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Local {
    /// Further arguments of services.
    pub arguments: BTreeMap<String, String>,
    /// How many processes of a service there are.
    pub replicas: BTreeMap<String, u16>,
    /// To how many processors each process is limited.
    pub cpus: BTreeMap<String, f64>,
}

/// Where a pipeline is.
#[derive(Debug, Clone, PartialEq)]
pub enum PipelinePlace {
    /// A private local stack.
    Local(Local),
    /// It is there already.
    Remote {
        /// The Redis server of the queue, which takes the stamps unless `log_store` is named.
        redis: String,
        /// The Redis server that takes the stamps.
        log_store: Option<String>,
        /// The queue's key.
        queue: Option<String>,
        /// The stages that messages pass, separated by commas.
        path: Option<String>,
    },
}

/// A value that a step keeps from its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// As texts name it.
    pub name: String,
    /// How long it is kept.
    pub scope: Scope,
}

/// How long a value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To the end of the load: it comes from set-up.
    Load,
    /// To the end of its user.
    User,
    /// To the end of its round.
    Round,
}

/// What must hold, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// Its text.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

impl Plan {
    /// All steps of the load, in the order in which they stand.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.users.iter().flat_map(UserKind::steps)
    }

    /// Whether messages are traced: there is a pipeline, or nothing else that could be loaded.
    pub fn is_traced(&self) -> bool {
        self.pipeline.is_some() || self.target.is_none() && self.users.is_empty()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets may stand in any of its texts.
        f.debug_struct("Plan").field("name", &self.name).finish_non_exhaustive()
    }
}
