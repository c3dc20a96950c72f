//! The load generator, closed loop (the answer to one request sends the next) and open loop (a schedule does).
//!
//! All connections live on one thread of their own with one event loop, so that nothing else of this process, such as
//! progress or tracing, delays a request. Per request there is one write, one read, no allocation and no lock.
//!
//! It knows no sweep, no pipeline and no report: it is given a [`LoadPlan`], stamps what it sends where it is given a [`Tracing`], and gives back a
//! [`Tally`].

mod agenda;
mod answer;
mod conductor;
mod connection;
mod engine;
mod error;
mod exchange;
mod json;
mod latency;
mod load_plan;
mod pace;
mod program;
mod proof;
mod request;
mod response;
mod schedule;
mod segment;
mod shared;
mod show;
mod status;
mod steps;
mod stream;
mod table;
mod tally;
mod target;
mod template;
mod timer;
mod tls;
mod together;
mod user;
mod value;
mod wrk;

pub use answer::{Check, Expected, Keep, Place};
pub use engine::{generate, watched};
pub use error::{LoadError, TrustError, WrkError};
pub use exchange::{Exchange, ExchangeError, Line, Reply};
pub use json::{JsonPath, NoJson};
pub use latency::{histogram, percentile, recorded};
pub use load_plan::{Around, LIVE_PERIOD, Limit, LoadPlan, Pacing, Tracing};
pub use program::{Kind, OnFailure, Program, Share, Step, Task};
pub use request::{Header, Method, RequestOptions, USER_AGENT};
pub use schedule::{Arrivals, SplitMix};
pub use segment::Segment;
pub use show::{Exchanged, Shown};
pub use status::{InvalidStatusSet, StatusSet};
pub use steps::{RoundTally, StepTally};
pub use stream::{ConnectError, Endpoint, EndpointError};
pub use table::{Table, Take};
pub use tally::{Generator, Live, Second, Snapshot, StepTotals, Tally, Totals};
pub use target::{InvalidTarget, Target, Unreachable};
pub use template::{Escape, Part, Source, Template};
pub use tls::Trust;
pub use together::{Fence, Gate, Together};
pub use value::{Slot, Value};
pub use wrk::{Wrk, WrkResult};
