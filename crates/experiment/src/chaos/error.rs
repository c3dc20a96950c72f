//! What ends a trial by faults early.

use stack::StackError;
use stamp::StoreError;

/// Faults could not be done, or the pipeline did not come back from one.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// A part did not start again.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The log store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What has arrived cannot be read.
    #[error("the arrivals cannot be read: {0}")]
    Arrivals(#[source] StoreError),
    /// No message arrives any more.
    #[error("{seconds} s after {fault} nothing arrives any more:\n{logs}")]
    NothingArrives {
        /// How long was waited.
        seconds: u64,
        /// After what.
        fault: String,
        /// The ends of all parts' logs.
        logs: String,
    },
}
