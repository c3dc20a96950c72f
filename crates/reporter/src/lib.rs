//! From stamps to a report: joins them by id, computes latencies per hop and end to end, and writes TSV, JSON
//! and pictures.
//!
//! It stands beside the services, not after them: it reads the log store only. The driver describes what it did as a
//! [`Sweep`] and keeps that in the log store, too, so that a report can be made again at any later time.

mod chart;
mod command;
mod compare;
mod export;
mod join;
mod measure;
mod model;
mod output;
mod stamping;
mod statistics;
mod sweep;

pub use command::{ReportArgs, parse_path, report};
pub use compare::{CompareArgs, CompareError, Comparison, Difference, Point, Series, Spread, compare};
pub use join::Join;
pub use measure::measure;
pub use model::{Books, Hop, Level, Report};
pub use output::{Output, OutputError};
pub use stamping::{StampQuality, Stamping};
pub use statistics::Distribution;
pub use sweep::{Http, Load, Sweep, SweepError};
