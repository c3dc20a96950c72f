//! Faults under load: parts of a local stack are killed and stopped in turn, and afterwards the books must balance.

mod audit;
mod error;
mod faults;
mod harness;

pub use audit::{Audit, audit};
pub use error::ChaosError;
pub use faults::{Fault, Faults, Harm, Harmed};
pub use harness::{Course, Harness, Recovery};
