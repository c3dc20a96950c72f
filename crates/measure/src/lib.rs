//! From stamps to a level: reads them, joins them by id, measures the level, balances its books.
//!
//! It stands beside the services, not after them: it reads the log store, or a file that was exported from one. Its loops go over every stamp.

mod accounting;
mod join;
mod level;
mod model;
pub mod number;
pub mod scenario;
mod search;
mod source;
mod stamping;
pub mod statistics;
mod sweep;
mod traced;
mod worker;

pub use accounting::Accounting;
pub use level::{arrival_begins, measure, untraced};
pub use model::{
    Answer, CausalBound, CurvePoint, ForeignLatency, Histograms, Hop, Level, LittleLaw, Slice, Stability, StepArrival,
    Tail, TailHop, Timeline, Traces,
};
pub use search::{Ended, Found, Over, Trial, TrialVerdict, thousands};
pub use source::{RawError, RawFile, RawHeader, RawRun, RawWriter, Stamps, StampsError};
pub use stamping::{Margin, StampQuality, Stamping};
pub use statistics::{Distribution, Interval, Intervals, Percentile};
pub use sweep::{Cutoff, Http, Load, QueueDepth, Sweep, SweepError, Usage};
pub use traced::{Passed, TracedMessage, TracedMessages};
pub use worker::WorkerLoad;
