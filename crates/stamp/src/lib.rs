//! The tracing protocol of Stampede, and the SDK for a service that wants to take part in it.
//!
//! A *stamp* says when one sampled message passed one *stage* of a pipeline, on the clock of one Redis
//! server. This crate holds everything that must be the same in every service: how a message is recognised
//! ([`Envelope`], [`MsgId`], [`RunId`]), which messages are sampled ([`SampleEvery`]), how stamps and exact
//! counts reach the log store without ever blocking the message path ([`Tracer`]), and how they are read
//! back ([`LogStore`]). `docs/protocol.md` describes the same thing for other languages.
//!
//! It must not know any particular service, load generator or report: all of those stand above it.

mod certificate;
pub mod clock;
mod connection;
mod counted;
#[cfg(feature = "clap")]
mod duration;
mod entry;
mod envelope;
mod id;
pub mod keys;
mod log;
mod mask;
pub mod process;
mod registry;
mod run;
mod sampling;
mod stage;
mod traceparent;
mod tracer;
#[cfg(feature = "clap")]
mod usage;

pub use certificate::certificate_remedy;
#[cfg(feature = "clap")]
pub use connection::RedisArgs;
pub use connection::{AccessError, RedisAccess, RedisTrust, RedisUrl, Refusal, Secret, StoreError, Wait};
pub use counted::counted;
#[cfg(feature = "clap")]
pub use duration::parse_duration;
pub use entry::{EntryError, Remarks, Stamp};
pub use envelope::{Envelope, EnvelopeError};
pub use id::{IdOutOfRange, MsgId};
pub use log::{ClockStep, Counts, LogStore};
pub use mask::{MASKED, is_secret_name, mask, mask_value};
pub use registry::{Beat, BeatClock};
pub use run::{InvalidRunId, RunId};
pub use sampling::{InvalidSampleEvery, SampleEvery};
pub use stage::{InvalidPath, InvalidStage, Path, Stage};
pub use traceparent::{InvalidTraceparent, Traceparent};
pub use tracer::{
    ClockMode, CounterHandle, Figures, MOST_STAGES, Observer, RunTrace, SlotFigures, StageHandle, Tracer, TracerOptions,
};
#[cfg(feature = "clap")]
pub use usage::{UsageError, WRONG_USAGE, ensure_usage};
