//! Several load generators as one: a [`Crew`] of workers that make a load together, and [`serve`], which is a worker.
//!
//! They meet in the log store, which all parts know already, and whose clock is the one clock: there is no other protocol, no port to open, and no master
//! to find. Nothing is sent twice or forgotten when it is repeated: a coordinator writes what is to be done as a document for each worker, with a lease, and
//! each worker says every second how it stands, in totals.

mod crew;
mod error;
mod keeper;
mod make;
mod standing;
mod store;
mod wire;
mod worker;

pub use crew::{Crew, Gathering};
pub use error::WorkersError;
pub use make::{Begun, Made, Part};
pub use worker::{Left, Told, WorkerOptions, serve};
