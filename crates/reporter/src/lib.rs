//! What shows a report: TSV, JSON, HTML, pictures and comparisons, and the commands that make them again from the log store or from a file.
//!
//! What a report says is worked out elsewhere, by `analysis`: here it is only shown.

mod chart;
#[cfg(feature = "parquet")]
mod columns;
mod command;
mod compare;
mod dataset;
mod destination;
mod export;
mod found;
mod html;
mod interrupt;
mod log_store;
mod output;
mod progress;
mod thresholds;
mod transfer;
mod usage;
mod xml;

pub use command::{Made, ReportArgs, parse_path, report};
pub use compare::{CompareArgs, compare, comparison_picture, write_varied};
pub use dataset::{ParquetArgs, parquet};
pub use destination::Destination;
pub use export::comparison::text as comparison_table;
pub use export::vary::text as varied_table;
pub use export::write_hgrm;
pub use found::{find_report, parse_report};
pub use interrupt::{INTERRUPTED, exit_on_signal};
pub use log_store::LogStoreArgs;
pub use output::{Output, OutputError};
pub use thresholds::{Judge, THRESHOLD_MISSED, ThresholdArgs, ThresholdError};
pub use transfer::{ExportArgs, ImportArgs, ImportError, export, import};
pub use usage::{IDLE_IN_REPORTS, Idle, exit_code, is_given, is_set, refuse_idle};

/// The plan that repeats a sweep, in the folder of its report.
pub const PLAN_FILE: &str = "plan.yaml";
