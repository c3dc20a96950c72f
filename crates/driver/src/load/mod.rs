//! The load generator: closed loop, one request in flight on each connection.
//!
//! All connections live on one thread of their own with one event loop, so that nothing else of this process, such as
//! progress or tracing, delays a request. Per request there is one write, one read, no allocation and no lock.

mod connection;
mod engine;
mod request;
mod response;
mod tally;
mod target;

pub(crate) use engine::{LoadPlan, Tracing, generate};
pub(crate) use request::Template;
pub(crate) use tally::{Live, Tally};
pub(crate) use target::Target;
