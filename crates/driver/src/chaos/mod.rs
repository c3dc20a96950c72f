//! Faults under load: parts of a local stack are killed and stopped in turn, and afterwards the books must balance.

mod audit;
mod faults;
mod harness;

pub(crate) use audit::{Audit, audit};
pub(crate) use faults::{Fault, Faults, Harm};
pub(crate) use harness::{Course, Harness, Recovery};
