//! Raw stamps in a file: one sweep, exactly as the log store has it, as lines of JSON in LZ4 frames. docs/raw.md describes the format.

mod error;
mod lines;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use error::RawError;
pub use reader::RawFile;
pub use writer::RawWriter;

use crate::Sweep;
use serde::{Deserialize, Serialize};
use stamp::{ClockStep, RunId, Stage};
use std::collections::BTreeMap;

/// What the first line of every such file begins with.
const FORMAT: &str = "stampede-raw";

/// The version of the format that this program writes and reads.
const VERSION: u32 = 1;

/// The first line: what the file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RawHeader {
    format: String,
    version: u32,
    /// The sweep as the driver described it.
    pub sweep: Sweep,
    /// The times that the log store's clock had been set when the file was made.
    pub clock_steps: Vec<ClockStep>,
    /// The runs in the order in which they follow.
    pub runs: Vec<RawRun>,
}

/// One run of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRun {
    /// Its id.
    pub run: RunId,
    /// The stages whose stamps follow, in order.
    pub stages: Vec<Stage>,
}

impl RawHeader {
    /// A header of the present version.
    pub fn new(sweep: Sweep, clock_steps: Vec<ClockStep>, runs: Vec<RawRun>) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, sweep, clock_steps, runs }
    }
}

/// The part of the header that stays the same in all versions.
#[derive(Deserialize)]
struct Versioned {
    format: String,
    version: u32,
}

/// A line that is no stamp.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Section {
    /// The counters of one run, each field as it is in the log store.
    Counts { run: RunId, counts: BTreeMap<String, u64> },
    /// So many entries of one stage follow, one a line.
    Stamps {
        run: RunId,
        stage: Stage,
        entries: u64,
        /// Which of them, counted from 0, stand there as a JSON string of hexadecimal digits, being no line of JSON themselves.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hex: Vec<u64>,
    },
    /// The last line.
    End { end: Totals },
}

/// What a whole file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Totals {
    /// Sections with stamps.
    sections: u64,
    /// Stamps in them.
    entries: u64,
}
