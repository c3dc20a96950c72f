//! What keeps a plan from being run.

use load::{EndpointError, InvalidTarget, LoadError};

/// A plan cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// There is no such task.
    #[error("the plan has no task `{task}`: it has {known}")]
    NoTask {
        /// What was asked for.
        task: String,
        /// What there is.
        known: String,
    },
    /// All tasks are left out.
    #[error("--only and --except leave no task: leave fewer out")]
    NoTasksLeft,
    /// Paths are asked for, and nothing says where.
    #[error("step `{0}` asks for a path, and the plan has no `target`: give it one")]
    NoTarget(String),
    /// The host of an address is not known before the load.
    #[error("step `{0}`: the host of an address must be the same in every request, as connections are kept")]
    Host(String),
    /// An address is none.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// Nothing answers there.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The load failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What set-up kept does not fit where it is used.
    #[error("step `{step}`: {why}")]
    Step {
        /// The step.
        step: String,
        /// Why not.
        why: String,
    },
    /// A file of a body cannot be read.
    #[error("step `{step}`: {file} cannot be read: {source}")]
    File {
        /// The step.
        step: String,
        /// The file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The rows of a table are not to be had.
    #[error("data `{name}`: {why}")]
    Data {
        /// The table.
        name: String,
        /// Why not.
        why: String,
    },
    /// There are fewer rows than users.
    #[error(
        "data `{name}` has {}, but there are {}, who each take one: give more rows, fewer users, or `take: circular`",
        stamp::counted(rows, "row"),
        stamp::counted(users, "user")
    )]
    FewRows {
        /// The table.
        name: String,
        /// Its rows.
        rows: usize,
        /// Users who each take one.
        users: u32,
    },
    /// Set-up failed; nothing was loaded.
    #[error("set-up failed: {name}: {why}{answer}")]
    SetUp {
        /// The step or the command.
        name: String,
        /// Why.
        why: String,
        /// The answer, on lines of its own; may be empty.
        answer: String,
    },
    /// A signal came before anything was loaded.
    #[error("interrupted")]
    Interrupted,
}
