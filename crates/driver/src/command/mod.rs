//! One module for each subcommand: its arguments, and what it does.

pub(crate) mod chaos;
pub(crate) mod clock;
pub(crate) mod compare;
pub(crate) mod deployment;
mod health;
mod hgrm;
pub(crate) mod load;
mod load_result;
mod manual;
mod owner;
pub(crate) mod report;
pub(crate) mod role;
pub(crate) mod services;
mod setting;
pub(crate) mod stack;
pub(crate) mod sweep;
mod table;

/// The exit code of a command that a signal ended, as shells know it.
pub(crate) const INTERRUPTED: u8 = 130;
