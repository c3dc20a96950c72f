//! What each of several load generators made of a load.

use serde::{Deserialize, Serialize};

/// One of several generators that made a load together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerLoad {
    /// What stands in the ids of its messages: id / 2^43.
    pub number: u16,
    /// Its name in the registry of services.
    pub instance: String,
    /// Where it ran.
    pub host: String,
    /// Its share of the load, from 0 to 1.
    pub share: f64,
    /// Requests that it sent; of a lost one, as far as it had told.
    pub requests: u64,
    /// Those that were accepted.
    pub accepted: u64,
    /// Those that were not.
    pub errors: u64,
    /// Requests that were due and never sent.
    pub missed: u64,
    /// From the intended send to the actual one, median, µs; absent where it sent nothing.
    pub send_delay_p50_us: Option<u64>,
    /// The same, 99th percentile, µs.
    pub send_delay_p99_us: Option<u64>,
    /// From the beginning that all had agreed on to its own, µs; absent where it did not tell.
    pub start_delay_us: Option<u64>,
    /// The share of one processor that its thread took, 0 to 1; absent where nobody tells.
    pub cpu_share: Option<f64>,
    /// The bound of its clock's error, µs.
    pub clock_error_us: Option<u32>,
    /// Why it, and not what was loaded, limited its part; absent where it did not.
    pub limited_by: Option<String>,
    /// When it was lost, µs since the beginning of the load; absent where it was not.
    pub lost_us: Option<u64>,
    /// What is known of that.
    pub lost_why: Option<String>,
}
