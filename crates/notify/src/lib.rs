//! Tells people that a run has ended: in Slack, by an incoming webhook, or whoever takes JSON.
//!
//! It listens to an experiment ([`Notify`]); who runs what is no single experiment sends by itself ([`Notify::send`]). What cannot be sent is a note, and ends
//! nothing. The addresses are secrets, as whoever has one can write there: they are in no note, and in no `Debug`.

mod listen;
mod message;
mod post;
mod slack;
mod targets;

pub use listen::{Note, Notify};
pub use message::Message;
pub use targets::{Address, InvalidAddress, Targets};
