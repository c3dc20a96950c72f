//! From stamps to a report: joins them by id, computes latencies per hop and end to end, and writes TSV, JSON
//! and pictures.
//!
//! It stands beside the services, not after them: it reads the log store, or a file that was exported from one. The driver describes what it did as a
//! [`Sweep`] and keeps that in the log store, too, so that a report can be made again at any later time.

mod accounting;
mod chart;
mod command;
mod compare;
mod destination;
mod duration;
mod export;
mod findings;
#[cfg(test)]
mod fixture;
mod html;
mod interrupt;
mod join;
mod measure;
mod model;
mod number;
mod output;
mod progress;
mod source;
mod stamping;
mod statistics;
mod sweep;
mod thresholds;
mod transfer;
mod usage;

pub use accounting::Accounting;
pub use command::{Made, ReportArgs, parse_path, report};
pub use compare::{
    Certainty, Change, ChangeInterval, CompareArgs, CompareError, Comparison, Difference, Figure, FigureChange,
    Measure, Method, Point, Series, compare,
};
pub use destination::Destination;
pub use duration::parse_duration;
pub use export::write_hgrm;
pub use findings::{Capacity, Estimate, Findings, Fit, Knee, Pooled, Spread, Usl, Weakest};
pub use interrupt::{INTERRUPTED, exit_on_signal};
pub use measure::{arrival_begins, measure};
pub use model::{
    Answer, CurvePoint, Histograms, Hop, Level, LittleLaw, Report, Slice, Stability, Tail, TailHop, Timeline, Traces,
};
pub use output::{Output, OutputError};
pub use source::{LogStoreArgs, RawError, RawFile, RawHeader, RawRun, RawWriter, Stamps, StampsError};
pub use stamping::{Margin, StampQuality, Stamping};
pub use statistics::{Distribution, Interval, Intervals, Percentile};
pub use sweep::{Cutoff, Http, Load, QueueDepth, Sweep, SweepError, Usage};
pub use thresholds::{
    InvalidThreshold, Judge, THRESHOLD_MISSED, Threshold, ThresholdArgs, ThresholdError, ThresholdVerdict,
};
pub use transfer::{ExportArgs, ImportArgs, ImportError, export, import};
pub use usage::{
    IDLE_IN_REPORTS, Idle, UsageError, WRONG_USAGE, ensure_usage, exit_code, is_given, is_set, refuse_idle,
};
