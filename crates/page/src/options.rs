//! What the page is opened with, and what it may ask for.

use serde::{Deserialize, Serialize};
use service::ListenAddress;
use stamp::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::sync::{mpsc, oneshot};

/// How the page is opened.
#[derive(Debug)]
pub struct PageOptions {
    /// Where; absent: 127.0.0.1:8089, or a free port where that is taken.
    pub listen: Option<ListenAddress>,
    /// Further names that it may be asked by (`Host`), with a port where it is reached by another. The first is in the address that is told.
    pub hosts: Vec<String>,
    /// The token that it asks for; absent: a new one, which stands in the address that is told.
    pub token: Option<Secret>,
    /// What may be asked for.
    pub limits: PageLimits,
    /// The command that it belongs to.
    pub command: &'static str,
    /// The folder of reports.
    pub out: PathBuf,
    /// What can be started, and who starts it; absent where the page belongs to one run.
    pub starts: Option<(Vec<PlanOffer>, mpsc::Sender<Start>)>,
}

/// The most that may be asked for from the page.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PageLimits {
    /// Users, or connections.
    pub users: u32,
    /// Requests or rounds a second.
    pub rate: f64,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self { users: 10_000, rate: 100_000.0 }
    }
}

/// A plan that can be started.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanOffer {
    /// What people call it: the name of its file.
    pub name: String,
    /// What it does, in one line; or what is wrong with it.
    pub about: String,
    /// Its parameters and their values, in the order of their names.
    pub params: Vec<(String, String)>,
    /// The load unless it is asked for another: users, or a rate.
    pub users: Option<u32>,
    /// Rounds a second.
    pub rate: Option<f64>,
    /// Users that begin a second.
    pub spawn: Option<f64>,
    /// How long, seconds; absent: until it is ended.
    pub duration_s: Option<f64>,
}

/// What is to be started.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"users\": 50}")]
pub struct Asked {
    /// Which plan; absent where there is one.
    pub plan: Option<String>,
    /// Its parameters.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Users, or connections, in a closed loop.
    pub users: Option<u32>,
    /// Requests or rounds a second, in an open loop.
    pub rate: Option<f64>,
    /// Users that begin a second.
    pub spawn: Option<f64>,
    /// How long each level lasts, seconds; 0: until it is ended. Absent: as the plan says, or else until it is ended.
    pub duration_s: Option<f64>,
}

/// A wish to start something, and where the answer goes: why it cannot be.
#[derive(Debug)]
pub struct Start {
    /// What.
    pub asked: Asked,
    /// Nothing where it begins.
    pub answer: oneshot::Sender<Result<(), String>>,
}
