//! What users do, told step by step: for trying a program, not for load.

use crate::value::Value;
use std::time::Duration;

/// Something that a user has done.
#[derive(Debug, Clone)]
pub enum Shown {
    /// A request, and what came of it.
    Exchange(Exchanged),
    /// A step was left out, and why.
    Skipped {
        /// The number of the step.
        step: usize,
        /// Why.
        why: &'static str,
    },
}

/// A request, and what came of it.
#[derive(Debug, Clone)]
pub struct Exchanged {
    /// The number of the step.
    pub step: usize,
    /// The bytes that were sent; none where the request could not be made.
    pub request: Vec<u8>,
    /// The header block and the body of the answer; empty where none came.
    pub head: Vec<u8>,
    /// Its body.
    pub body: Vec<u8>,
    /// How long it took.
    pub took: Duration,
    /// What was kept: the numbers of the values, and the values.
    pub kept: Vec<(usize, Value)>,
    /// It is asked for again.
    pub again: bool,
    /// Why the step failed; absent where it did not.
    pub failure: Option<String>,
}
