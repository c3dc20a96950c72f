//! From a plan to what the load generator runs: texts become templates, names numbers, tables rows; and what stands around a load: set-up,
//! tear-down, commands.
//!
//! [`Scenario`] is a plan that can be run; [`try_round`] runs one round of one user, and tells each request and its answer.

mod error;
mod hook;
mod lower;
mod scenario;
mod site;
mod table;
mod text;
mod told;
mod trial;

pub use error::ScenarioError;
pub use hook::run as run_hook;
pub use scenario::{Chosen, Scenario};
pub use told::{Attempt, Sent, Told};
pub use trial::{Outcome, TrialError, try_round};
