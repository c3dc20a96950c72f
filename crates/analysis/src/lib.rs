//! From stamps to a report as data: reads them, joins them by id, measures each level, balances the books, finds what the levels together tell, judges
//! thresholds, and compares sweeps.
//!
//! It stands beside the services, not after them: it reads the log store, or a file that was exported from one. What it makes, a [`Report`], is shown
//! elsewhere: it writes no file of a report and prints nothing.

mod accounting;
mod compare;
mod findings;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
mod join;
mod key;
mod measure;
mod model;
pub mod number;
pub mod scenario;
mod search;
mod sizing;
mod source;
mod stamping;
mod statistics;
mod sweep;
mod table;
mod thresholds;
mod traced;
mod vary;
mod worker;

pub use accounting::Accounting;
pub use compare::{
    Certainty, Change, ChangeInterval, CompareError, Comparison, Difference, Figure, FigureChange, Measure, Method,
    Point, Series, StepFigures, percent as percent_of_change,
};
pub use findings::{Capacity, Estimate, Findings, Fit, Knee, Pooled, Rival, Spread, Usl, Weakest, Withheld};
pub use key::{KeyFigure, KeyFigureKind};
pub use measure::{arrival_begins, make_report, measure, untraced};
pub use model::{
    Answer, CausalBound, CurvePoint, ForeignLatency, Histograms, Hop, Level, LittleLaw, Report, Slice, Stability,
    StepArrival, Tail, TailHop, Timeline, Traces,
};
pub use search::{Ended, Found, Over, Trial, TrialVerdict, thousands};
pub use sizing::{Confirmed, PartCapacity, Sizing};
pub use source::{RawError, RawFile, RawHeader, RawRun, RawWriter, Stamps, StampsError};
pub use stamping::{Margin, StampQuality, Stamping};
pub use statistics::student::student_exceeded;
pub use statistics::{Distribution, Interval, Intervals, Percentile};
pub use sweep::{Cutoff, Http, Load, QueueDepth, Sweep, SweepError, Usage};
pub use table::{aligned, distinct};
pub use thresholds::{Carried, InvalidThreshold, NoHop, Threshold, ThresholdVerdict, check_hops};
pub use traced::{Passed, TracedMessage, TracedMessages};
pub use vary::{Averaged, Combination, Effect, Varied, VariedRun};
pub use worker::WorkerLoad;
