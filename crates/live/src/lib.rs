//! A run while it grows: reads its stamps as they come, and joins them to latencies.
//!
//! It is for watching. Nothing of a report comes from here: reports are made from all stamps, after the level.

mod join;
mod looks;

pub use join::{Found, Join};
pub use looks::Looks;
