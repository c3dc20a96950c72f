//! Which messages have arrived, exactly: sampled or not, so that a duplicate never hides a loss.

mod log_store;
mod memory;

pub(crate) use log_store::Recorder;
pub(crate) use memory::Bitmaps;

use clap::ValueEnum;
use stamp::{MsgId, RunTrace};
use std::sync::{Arc, Mutex, PoisonError};

/// Where arrivals are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Memory {
    /// In this process: a restart forgets them, and other processes do not see them.
    Memory,
    /// In the log store, before the broker gets its acknowledgement: exact across restarts and processes.
    LogStore,
}

/// A message that has arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) run: RunTrace,
    pub(crate) id: MsgId,
    /// It had not arrived before; known once it has been noted.
    pub(crate) first: bool,
}

/// The memory of one client.
#[derive(Debug)]
pub(crate) enum Arrivals {
    /// All clients of the process share it.
    Memory(Arc<Mutex<Bitmaps>>),
    LogStore(Box<Recorder>),
}

impl Arrivals {
    /// Waits until arrivals can be noted.
    pub(crate) async fn ready(&mut self) {
        if let Arrivals::LogStore(recorder) = self {
            recorder.ready().await;
        }
    }

    /// Notes arrivals, and which of them are the first of their message; takes as long as it takes.
    pub(crate) async fn note(&mut self, arrivals: &mut [Arrival]) {
        match self {
            Arrivals::Memory(bitmaps) => {
                let mut bitmaps = bitmaps.lock().unwrap_or_else(PoisonError::into_inner);
                for arrival in arrivals {
                    arrival.first = bitmaps.is_first(arrival.run.id(), arrival.id);
                }
            }
            Arrivals::LogStore(recorder) => recorder.record(arrivals).await,
        }
    }
}
