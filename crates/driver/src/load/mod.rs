//! The load generator, closed loop (the answer to one request sends the next) and open loop (a schedule does).
//!
//! All connections live on one thread of their own with one event loop, so that nothing else of this process, such as
//! progress or tracing, delays a request. Per request there is one write, one read, no allocation and no lock.

mod connection;
mod engine;
mod exchange;
mod pace;
mod request;
mod response;
mod schedule;
mod status;
mod stream;
mod tally;
mod target;
mod timer;
mod tls;
mod wrk;

pub(crate) use engine::{LIVE_PERIOD, LoadPlan, Pacing, Tracing, generate};
pub(crate) use exchange::Exchange;
pub(crate) use request::{Header, Method, RequestOptions, Template};
pub(crate) use schedule::{Arrivals, SplitMix};
pub(crate) use status::StatusSet;
pub(crate) use stream::Endpoint;
pub(crate) use tally::{Live, Second, Tally, Totals, histogram, percentile, recorded};
pub(crate) use target::Target;
pub(crate) use tls::{Trust, client_config};
pub(crate) use wrk::{Wrk, WrkResult};
