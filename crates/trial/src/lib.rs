//! One user, one round: runs the steps of a plan one at a time and tells each request, its answer, and what became of it.
//!
//! It is for trying a plan, and not for load: every request has a connection of its own, and everything is kept to be shown.

mod answer;
mod dpop;
mod hook;
mod rows;
mod session;
mod text;
mod user;

pub use session::{Outcome, Told, TrialError, run};
pub use user::{Attempt, Sent};
