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
    /// Workers do not come, or do not work.
    #[error(transparent)]
    Workers(#[from] workers::WorkersError),
    /// Workers were lost: what was measured since is no measure of anything.
    #[error("{0}; use --on-worker-loss continue to go on without them")]
    WorkersLost(String),
    /// The load of wrk failed.
    #[error(transparent)]
    Wrk(#[from] WrkError),
    /// The plan's users cannot do what it says.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Each user has a connection to each host.
    #[error(
        "{} on {} need {} connections, and this process may open {limit} files: raise `ulimit -n`, or give fewer users",
        stamp::counted(users, "user"),
        stamp::counted(sites, "host"),
        u64::from(*users) * (*sites as u64),
    )]
    Files {
        /// How many at the most.
        users: u32,
        /// Hosts that they ask.
        sites: usize,
        /// Open files of this process at the most.
        limit: u64,
    },
    /// Each connection to a host has a local port of its own.
    #[error(
        "{users} users need as many local ports for each host, and this machine has {ports}: widen net.ipv4.ip_local_port_range, or give fewer users"
    )]
    Ports {
        /// How many at the most.
        users: u32,
        /// Local ports.
        ports: u32,
    },
    /// A command beside the load failed.
    #[error("command failed: {command}: {why}")]
    Hook {
        /// For the shell.
        command: String,
        /// Why.
        why: String,
    },
    /// The broker's address is none.
    #[error(transparent)]
    BrokerUrl(#[from] service::mqtt::InvalidBrokerUrl),
    /// The broker cannot be connected to as it is described.
    #[error(transparent)]
    Broker(#[from] service::mqtt::BrokerError),
    /// The broker is away, or refuses.
    #[error(transparent)]
    Mqtt(#[from] service::mqtt::MqttError),
    /// The stamps of a level cannot be read.
    #[error(transparent)]
    Stamps(#[from] StampsError),
}
