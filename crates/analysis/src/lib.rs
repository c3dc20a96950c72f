//! From levels to a report as data: finds what the levels together tell, judges thresholds, and compares sweeps.
//!
//! What it makes, a [`Report`], is shown elsewhere: it writes no file of a report and prints nothing. What a level is made of, and how, is `measure`'s: all
//! of that is found here as well.

mod compare;
mod findings;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
mod key;
mod model;
mod sizing;
mod table;
mod thresholds;
mod vary;

pub use compare::{
    Certainty, Change, ChangeInterval, CompareError, Comparison, Difference, Figure, FigureChange, Measure, Method,
    Point, Series, StepFigures, percent as percent_of_change,
};
pub use findings::{Capacity, Estimate, Findings, Fit, Knee, Pooled, Rival, Spread, Usl, Weakest, Withheld};
pub use key::{KeyFigure, KeyFigureKind};
pub use measure::statistics::student::student_exceeded;
pub use measure::*;
pub use model::{Report, make_report};
pub use sizing::{Confirmed, PartCapacity, Sizing};
pub use table::{aligned, distinct};
pub use thresholds::{Carried, InvalidThreshold, NoHop, Threshold, ThresholdVerdict, check_hops};
pub use vary::{Averaged, Combination, Effect, Varied, VariedRun};
