//! An experiment as data, and what runs it: a [`Plan`] says what is loaded, how, and what must hold; [`run()`] warms up, loads, drains and measures
//! level by level.
//!
//! What happens is told as one stream of [`Event`]s. Whoever shows or sends it is a [`Listener`], and unknown here.

mod abort;
mod capacity;
pub mod chaos;
mod control;
mod crew;
mod description;
mod drain;
mod error;
mod event;
mod eviction;
mod figures;
mod http;
mod intake;
mod loaded;
mod monitor;
mod pipeline;
mod plan;
mod run;
mod search;
mod services;
mod setting;

pub use capacity::{CapacityPlan, Measured, measure_parts};
pub use control::{Change, Control, Levels, Next};
pub use crew::{Hands, of_parts};
pub use description::{new_id, settings};
pub use error::ExperimentError;
pub use event::{Audience, Event, Listener, Telling};
pub use http::of_tally as http_of;
pub use monitor::{Seen, Watch};
pub use pipeline::Pipeline;
pub use plan::{Generator, Hooks, Patience, Plan, Shape, Site, Subject, Users, Work, Workers};
pub use run::{Outcome, run};
pub use search::SearchPlan;
pub use setting::{Setting, Who};
