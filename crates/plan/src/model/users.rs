//! Who makes the load: kinds of users, their tasks and steps.

use super::{Body, Text, Value};
use crate::problem::Place;
use std::time::Duration;

/// A program that is run beside the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// For the shell.
    pub command: String,
    /// It is ended after this time.
    pub within: Duration,
}

/// One entry of set-up or tear-down.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a plan has few of them")]
pub enum StepOrHook {
    /// A request.
    Step(Step),
    /// A program.
    Hook(Hook),
}

/// A kind of user.
#[derive(Debug, Clone, PartialEq)]
pub struct UserKind {
    /// Its name.
    pub name: String,
    /// How many of all users are of it.
    pub share: Share,
    /// The tables that each of them takes a row of.
    pub data: Vec<usize>,
    /// The pause before each step.
    pub think: Option<Span>,
    /// A round is due each time that so much has passed.
    pub pace: Option<Duration>,
    /// Headers of every request.
    pub headers: Vec<(String, Text)>,
    /// What is kept of every answer.
    pub keep: Vec<Keep>,
    /// Answers to every step that are asked for again.
    pub retry: Option<Retry>,
    /// Whether cookies are kept and sent.
    pub cookies: bool,
    /// When it begins.
    pub on_start: Vec<Step>,
    /// What it does, round after round.
    pub tasks: Vec<Task>,
    /// When it stops.
    pub on_stop: Vec<Step>,
    /// What a failed step ends.
    pub on_failure: OnFailure,
}

/// How many users are of a kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// In proportion to the weights of the others.
    Weight(f64),
    /// So many.
    Count(u32),
}

/// What a failed step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// Its round.
    #[default]
    Round,
    /// Nothing: the next step follows.
    Next,
    /// Its user.
    User,
    /// The load.
    Load,
}

/// Steps one after another; one task is drawn for each round.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// How often it is drawn, in proportion to the others.
    pub weight: f64,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// As figures call it: its method and the template of its path, unless named.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// `GET`, `POST`, …
    pub method: String,
    /// The address: a path of the target, or a whole one.
    pub url: Text,
    /// Its headers, over those of its user.
    pub headers: Vec<(String, Text)>,
    /// Its body.
    pub body: Option<Body>,
    /// What its answer must be; without a status, one from 200 to 299.
    pub expect: Vec<Expect>,
    /// What is kept of its answer.
    pub keep: Vec<Keep>,
    /// The pause before it, instead of its user's.
    pub think: Option<Span>,
    /// Answers that are asked for again, instead of its user's.
    pub retry: Option<Retry>,
    /// It is sent after a failure of its round, too, where all that it needs was kept.
    pub always: bool,
    /// How often it is sent, one after another.
    pub repeat: u32,
    /// It is left out unless this is kept.
    pub when: Option<usize>,
}

/// What an answer must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// Its status is in one of these ranges, both ends included.
    Status(Vec<(u16, u16)>),
    /// It has this header, perhaps with this value.
    Header(String, Option<String>),
    /// The value at this path of its JSON; perhaps it is this one.
    Json(String, Option<String>),
    /// Its body matches this expression.
    Text(String),
    /// It has come within this time.
    Within(Duration),
}

/// What is kept of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Under which number.
    pub kept: usize,
    /// Where it stands.
    pub from: KeepFrom,
    /// The step does not fail where it is missing.
    pub optional: bool,
}

/// Where a kept value stands in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepFrom {
    /// A header.
    Header(String),
    /// A value of its JSON: `$.a[0].b`.
    Json(String),
    /// The first group of this expression.
    Text(String),
    /// A cookie.
    Cookie(String),
    /// Its status.
    Status,
}

/// Answers that are asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// With these statuses: ranges, both ends included.
    pub status: Vec<(u16, u16)>,
    /// So often.
    pub times: u32,
}

/// A time, or a range that one is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub least: Duration,
    /// The longest.
    pub most: Duration,
}

impl UserKind {
    /// All steps of these users, in the order in which they stand.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        let tasks = self.tasks.iter().flat_map(|task| &task.steps);
        self.on_start.iter().chain(tasks).chain(&self.on_stop)
    }
}

impl Step {
    /// Whether it is a traced message: its body holds `${id}`.
    pub fn is_traced(&self) -> bool {
        let texts = self.body.as_ref().map(Body::texts).unwrap_or_default();
        texts.iter().flat_map(|text| text.values()).any(|value| *value == Value::Id)
    }

    /// All texts of its request.
    pub fn texts(&self) -> Vec<&Text> {
        let mut texts = self.body.as_ref().map(Body::texts).unwrap_or_default();
        texts.extend(self.headers.iter().map(|(_, text)| text).chain([&self.url]));
        texts
    }
}
