//! The subscriber on a real Mosquitto and a real Redis.
#![allow(clippy::unwrap_used)]

mod app;
mod receiving;
mod recording;
mod sessions;
