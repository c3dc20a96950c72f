//! The plan file: who loads what, how much, and what must hold. It is read and checked whole, before anything is sent.
//!
//! [`Plan::read`] turns the text of a file into a [`Plan`], in which every name is resolved: texts know where each of their parts comes
//! from, and every key has its type. It finds all faults at once ([`Problems`]), each with its place, and with what to do. It sends nothing,
//! and knows neither the load generator nor a report: what a plan means is done elsewhere.

mod input;
mod kept;
mod model;
mod names;
mod problem;
mod reader;
pub mod rows;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod schema;
mod secrets;
mod text;
mod yaml;

pub use input::Input;
pub use model::{
    Amount, Arrivals, Body, Data, Expect, Function, Hook, IdOf, Json, Keep, KeepFrom, Kept, Load, Local, Notify,
    NotifyWhen, OnFailure, Part, Pipeline, PipelinePlace, Plan, Retry, Rows, RunOf, Scope, Search, SearchOver, Share,
    Span, SpanMap, SpanRule, SpanTime, Stage, Step, StepOrHook, Take, Task, Text, Threshold, UserKind, Value, Vary,
};
pub use problem::{Place, Problem, Problems};
pub use reader::params;
pub use secrets::Secrets;
