//! Takes traces of services that are not Stampede's, and writes stamps for them: `driver otlp-receive`.
//!
//! The clocks of these services are foreign: nobody has compared them with the log store's. Each stamp names its clock and states no error, and a
//! report says so.

/// What it is called among the services of a pipeline.
pub(crate) const SERVICE: &str = "otlp-receive";

mod body;
mod matching;
mod seen;
mod server;
mod stamps;

pub use server::{ReceiveArgs, run, start};
