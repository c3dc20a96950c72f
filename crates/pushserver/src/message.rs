//! A message on its way from the queue to the broker.

use bytes::Bytes;
use stamp::{MsgId, RunTrace, Traceparent};
use std::time::Instant;
use tokio::sync::mpsc;

/// A message as the two halves hand it over.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) body: Bytes,
    /// What it is stamped with; none for what is no envelope, which is forwarded all the same.
    pub(crate) trace: Option<(RunTrace, MsgId)>,
    /// The context of the trace that it brings along; boxed, as most bring none.
    pub(crate) context: Option<Box<Traceparent>>,
    /// When it came out of the queue.
    pub(crate) taken: Instant,
    /// When the first write that carried it to the broker began, whatever became of that.
    pub(crate) began: Option<Instant>,
    /// It has been handed to the broker's socket, and is stamped.
    pub(crate) written: bool,
    /// How often the broker has closed the connection at it, when nothing else was in flight.
    pub(crate) closings: u8,
    /// Tells its worker that it is published; none where no worker waits for that.
    pub(crate) receipt: Option<Receipt>,
}

/// The way back to the worker that took a message.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) worker: mpsc::UnboundedSender<u64>,
    /// Which of the worker's messages it is.
    pub(crate) number: u64,
}

impl Message {
    #[cfg(test)]
    pub(crate) fn untraced(body: Bytes) -> Self {
        let taken = stamp::clock::now();
        Self { body, trace: None, context: None, taken, began: None, written: false, closings: 0, receipt: None }
    }

    /// The message is published: at quality of service 0 it is written, at 1 and 2 the broker has acknowledged it.
    pub(crate) fn published(self) {
        if let Some(receipt) = self.receipt {
            // A worker that has lost its hold on the message has begun a new ledger, and waits for it no more.
            let _ = receipt.worker.send(receipt.number);
        }
    }
}
