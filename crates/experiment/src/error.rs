//! What ends an experiment.

use crate::services::ServicesError;
use analysis::{NoHop, StampsError};
use load::{EndpointError, InvalidTarget, LoadError, WrkError};
use scenario::ScenarioError;
use stack::StackError;
use stamp::{InvalidRunId, StoreError};

/// An experiment could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// A threshold is on a hop that the path does not have.
    #[error(transparent)]
    NoHop(#[from] NoHop),
    /// The local stack did not start, or has lost a part.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The log store, or the queue's Redis, failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address of a part is none.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// A run's id is none.
    #[error(transparent)]
    Run(#[from] InvalidRunId),
    /// The API cannot be loaded.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The services are not those that the plan needs.
    #[error(transparent)]
    Services(#[from] ServicesError),
    /// The load failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The load of wrk failed.
    #[error(transparent)]
    Wrk(#[from] WrkError),
    /// The plan's users cannot do what it says.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A command beside the load failed.
    #[error("command failed: {command}: {why}")]
    Hook {
        /// For the shell.
        command: String,
        /// Why.
        why: String,
    },
    /// The stamps of a level cannot be read.
    #[error(transparent)]
    Stamps(#[from] StampsError),
}
