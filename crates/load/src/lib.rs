//! The load generator, closed loop (the answer to one request sends the next) and open loop (a schedule does).
//!
//! All connections live on one thread of their own with one event loop, so that nothing else of this process, such as
//! progress or tracing, delays a request. Per request there is one write, one read, no allocation and no lock.
//!
//! It knows no sweep, no pipeline and no report: it is given a [`LoadPlan`], stamps what it sends where it is given a [`Tracing`], and gives back a
//! [`Tally`].

mod connection;
mod engine;
mod error;
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

pub use engine::{LIVE_PERIOD, LoadPlan, Pacing, Tracing, generate, watched};
pub use error::{LoadError, TrustError, WrkError};
pub use exchange::{Exchange, ExchangeError, Reply};
pub use request::{Header, Method, RequestOptions, Template};
pub use schedule::{Arrivals, SplitMix};
pub use status::{InvalidStatusSet, StatusSet};
pub use stream::{ConnectError, Endpoint, EndpointError};
pub use tally::{Live, Second, Tally, Totals, histogram, percentile, recorded};
pub use target::{InvalidTarget, Target, Unreachable};
pub use tls::Trust;
pub use wrk::{Wrk, WrkResult};
