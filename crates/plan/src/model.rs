//! A plan as data. Every name is resolved: a text knows where each of its parts comes from.

use crate::problem::Place;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A whole plan.
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// What must hold, as it is written.
    pub thresholds: Vec<Threshold>,
}

/// The pipeline behind the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// Where it is.
    pub place: PipelinePlace,
    /// Commands before the load.
    pub before: Vec<Hook>,
    /// Commands after it.
    pub after: Vec<Hook>,
}

/// Where a pipeline is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipelinePlace {
    /// A private local stack, with arguments for its services by their name.
    Local(BTreeMap<String, String>),
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

/// A table of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// As texts name it.
    pub name: String,
    /// Its rows.
    pub rows: Rows,
    /// How users come by a row.
    pub take: Take,
}

/// Where the rows of a table come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// They are known.
    Known {
        /// The names of the columns.
        columns: Vec<String>,
        /// Each row has a value for each column.
        rows: Vec<Vec<String>>,
    },
    /// A value that set-up keeps: a JSON list of objects with these members, or of plain values.
    Kept {
        /// Which.
        kept: usize,
        /// The members that texts name; `value` is a plain value itself.
        columns: Vec<String>,
    },
    /// What a command prints: CSV with a first line of names.
    Command {
        /// The command.
        hook: Hook,
        /// The columns that texts name.
        columns: Vec<String>,
    },
}

/// How users come by a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Take {
    /// A row for each user, given back when it stops.
    Unique,
    /// A row for each round; the load ends when they are gone.
    Once,
    /// One after another, and from the beginning again.
    #[default]
    Circular,
    /// Any, for each round.
    Random,
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
    /// Its body holds `${id}`: it is a traced message.
    pub traced: bool,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A JSON document.
    Json(Json),
    /// Fields of a form.
    Form(Vec<(String, Text)>),
    /// A text as it is.
    Text(Text),
    /// The bytes of a file.
    File(PathBuf),
}

/// A JSON document with places for values.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// What is the same each time: null, a number, true or false.
    Constant(String),
    /// A string.
    Text(Text),
    /// A value of its own type: it stands for nothing but a placeholder.
    Value(Text),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Map(Vec<(String, Json)>),
}

/// A text with places for values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// One after another.
    pub parts: Vec<Part>,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// It is the same each time.
    Literal(String),
    /// It comes from the environment, and is not to be shown.
    Secret(String),
    /// It differs.
    Value {
        /// What it is.
        value: Value,
        /// What stands for it where it is missing.
        or: Option<String>,
        /// It is written as it is, whatever its surroundings need.
        raw: bool,
    },
}

/// What differs from request to request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A kept value, by its number.
    Kept(usize),
    /// A value of the user's row of a table: numbers of the table and of the column.
    Column(usize, usize),
    /// The id of a message.
    Id,
    /// The run.
    Run,
    /// ms since 1970-01-01 UTC.
    Now,
    /// The payload of an envelope.
    Payload,
    /// The number of the user, from 0.
    User,
    /// How many users there are.
    Users,
    /// It is made anew.
    Call(Function),
}

/// What makes a value anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Function {
    /// A random UUID.
    Uuid,
    /// A whole number between these, both included.
    Int(i64, i64),
    /// One of these.
    Pick(Vec<String>),
    /// So many hexadecimal digits.
    Hex(u32),
    /// A proof of RFC 9449 for the request, with the nonce that is kept under this number.
    Dpop(Option<usize>),
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

/// How much load there is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Load {
    /// How it is measured out.
    pub amount: Amount,
    /// Before it, and counted nowhere.
    pub warmup: Option<Duration>,
    /// How long it lasts, from the moment at which all users are there.
    pub duration: Option<Duration>,
    /// It ends earlier when so many requests have been sent.
    pub requests: Option<u64>,
    /// How often each level is measured.
    pub repeat: u32,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
    /// Seed of everything random.
    pub seed: Option<u64>,
}

/// How load is measured out.
#[derive(Debug, Clone, PartialEq)]
pub enum Amount {
    /// By users, each of whom waits for answers.
    Users {
        /// How many.
        users: u32,
        /// How many begin a second; absent: all at once.
        spawn: Option<f64>,
    },
    /// By rounds a second, whatever the answers.
    Rate {
        /// Rounds a second.
        rate: f64,
        /// Users at the most.
        max_users: Option<u32>,
        /// How rounds are spaced.
        arrivals: Arrivals,
    },
    /// By a number of users that changes.
    Stages(Vec<Stage>),
    /// A level after another.
    Levels(Levels),
}

impl Default for Amount {
    fn default() -> Self {
        Self::Users { users: 1, spawn: None }
    }
}

/// How rounds of an open loop are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrivals {
    /// Evenly.
    #[default]
    Constant,
    /// As independent users come.
    Poisson,
}

/// The number of users changes to `to` over this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Users at its end.
    pub to: u32,
    /// How long it takes.
    pub over: Duration,
}

/// The levels of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub enum Levels {
    /// Users.
    Users(Vec<u32>),
    /// Rounds a second.
    Rates(Vec<f64>),
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
    #[must_use]
    pub fn is_traced(&self) -> bool {
        self.pipeline.is_some() || self.target.is_none() && self.users.is_empty()
    }
}

impl UserKind {
    /// All steps of these users, in the order in which they stand.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        let tasks = self.tasks.iter().flat_map(|task| &task.steps);
        self.on_start.iter().chain(tasks).chain(&self.on_stop)
    }
}

impl Text {
    /// The text of a literal.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self { parts: vec![Part::Literal(text.to_owned())] }
    }

    /// What differs in it.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { value, .. } => Some(value),
            Part::Literal(_) | Part::Secret(_) => None,
        })
    }
}
