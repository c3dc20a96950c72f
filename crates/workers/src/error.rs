//! Why workers do not work.

use load::LoadError;
use stamp::StoreError;
use std::time::Duration;

/// A load of several workers does not come about, or a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkersError {
    /// Too few have come.
    #[error("{} wanted, {found} available after {}{why}", stamp::counted(.wanted, "worker"), seconds(*.within))]
    Few {
        /// How many are wanted.
        wanted: u32,
        /// How many there are.
        found: usize,
        /// How long they were waited for.
        within: Duration,
        /// What is wrong with others, and what to do.
        why: String,
    },
    /// A worker will not make this load.
    #[error("worker {worker} does not make this load: {why}")]
    Refused {
        /// Which.
        worker: String,
        /// Why not.
        why: String,
    },
    /// None is left.
    #[error("no worker is left: {0}")]
    NoneLeft(String),
    /// They do not become ready.
    #[error("after {} these workers have not made themselves ready: {workers}", seconds(*.within))]
    NotReady {
        /// Which.
        workers: String,
        /// How long they were waited for.
        within: Duration,
    },
    /// Ids cannot tell them apart.
    #[error("--workers {wanted}: give at most {most}, as ids tell no more workers of a run apart")]
    Many {
        /// How many are wanted.
        wanted: u32,
        /// How many there may be.
        most: u16,
    },
    /// The log store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The generator fails.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What cannot be written as JSON, or read from it.
    #[error("cannot tell workers of a load: {0}")]
    Document(#[from] serde_json::Error),
    /// A file that the load needs cannot be read.
    #[error(transparent)]
    Endpoint(#[from] load::EndpointError),
    /// A thread does not start.
    #[error("cannot start the thread that keeps workers: {0}")]
    Thread(std::io::Error),
    /// A worker that has waited for long enough.
    #[error("no coordinator has taken this worker within {}; the log store is {store}", seconds(*.limit))]
    Idle {
        /// How long.
        limit: Duration,
        /// Where it waits.
        store: String,
    },
    /// A worker whose coordinator has gone.
    #[error("the coordinator {0} has gone silent, without releasing this worker")]
    Deserted(String),
}

fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}
