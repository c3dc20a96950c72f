//! How the tracing goes, for those who watch a process.

use super::books::Books;
use crate::clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Tells how a [`super::Tracer`] fares. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Observer {
    books: Arc<Books>,
}

/// How the tracing of a process goes at one moment. All totals count from the start of the process, over all runs, and
/// never fall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// The stages and the other counters of this process.
    pub slots: Vec<SlotFigures>,
    /// Stamps that wait for the log store.
    pub stamps_waiting: usize,
    /// Stamps that the log store has taken.
    pub stamps_written: u64,
    /// Whether the log store took the newest write.
    pub log_store_connected: bool,
    /// The bound of the disciplined clock's error; absent before its first probe, and without that clock.
    pub clock_error: Option<Duration>,
    /// How often the log store's clock has been set; absent like the error.
    pub clock_steps: Option<u32>,
}

/// The totals of one stage or counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotFigures {
    /// The name of the stage or counter.
    pub name: String,
    /// Whether it is a stage.
    pub is_stage: bool,
    /// How often it was counted.
    pub count: u64,
    /// Stamps of this stage that were dropped.
    pub stamps_dropped: u64,
}

impl Observer {
    pub(super) fn new(books: Arc<Books>) -> Self {
        Self { books }
    }

    /// Stamps that wait for the log store.
    #[must_use]
    pub fn stamps_waiting(&self) -> usize {
        self.books.waiting()
    }

    /// Stamps that the log store has taken.
    #[must_use]
    pub fn stamps_written(&self) -> u64 {
        self.books.progress.written()
    }

    /// Whether the log store took the newest write, each time that this changes; false before the first.
    #[must_use]
    pub fn connections(&self) -> watch::Receiver<bool> {
        self.books.progress.connections()
    }

    /// The present figures. This reads the books of every run, which is nothing to do for each message.
    #[must_use]
    pub fn figures(&self) -> Figures {
        // Names first: a slot that comes meanwhile is told the next time.
        let names = self.books.names();
        let totals = self.books.totals();
        let slots = names.into_iter().zip(totals.counts).zip(totals.dropped);
        let progress = &self.books.progress;
        let clock = progress.clock();
        Figures {
            slots: slots
                .map(|((name, count), stamps_dropped)| SlotFigures {
                    name: name.text,
                    is_stage: name.is_stage,
                    count,
                    stamps_dropped,
                })
                .collect(),
            stamps_waiting: self.books.waiting(),
            stamps_written: progress.written(),
            log_store_connected: progress.is_connected(),
            clock_error: clock.map(|state| Duration::from_micros(state.at(clock::now()).error_us.into())),
            clock_steps: clock.map(|state| state.steps),
        }
    }
}
