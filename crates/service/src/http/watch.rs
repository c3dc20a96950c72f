//! Tells slow connections from idle ones, at next to no cost for those that are neither.
//!
//! A connection notes only that it has entered another phase; whoever looks at all connections now and then sees how long
//! each has been in the same one. There is no timer and no reading of a clock for a request.

use super::HttpLimits;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Nothing has come since the last request, or since the beginning.
const IDLE: u64 = 0;
/// A part of a header has come.
const HEADER: u64 = 1;
/// A request is being answered.
const REQUEST: u64 = 2;

/// The bits that tell the phase; the others count the phases.
const PHASE: u64 = 3;

/// What a connection is doing. Only its own task writes it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    state: AtomicU64,
}

impl Watch {
    /// Bytes have come.
    fn bytes_come(&self) {
        if self.state.load(Ordering::Relaxed) & PHASE == IDLE {
            self.enter(HEADER);
        }
    }

    /// A header is there whole.
    pub(super) fn request_begins(&self) {
        self.enter(REQUEST);
    }

    /// A request has its answer.
    pub(super) fn request_ends(&self) {
        self.enter(IDLE);
    }

    fn enter(&self, phase: u64) {
        let count = (self.state.load(Ordering::Relaxed) | PHASE).wrapping_add(1);
        self.state.store(count | phase, Ordering::Relaxed);
    }
}

/// An open connection as the server holds it.
#[derive(Debug)]
pub(super) struct Held {
    watch: Arc<Watch>,
    task: AbortHandle,
    finish: oneshot::Sender<()>,
    /// The state seen last, and when it was seen first.
    seen: Option<(u64, Instant)>,
}

impl Held {
    /// Dropping it asks the connection to finish.
    pub(super) fn new(watch: Arc<Watch>, task: AbortHandle, finish: oneshot::Sender<()>) -> Self {
        Self { watch, task, finish, seen: None }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.finish.is_closed()
    }

    /// Whether the connection has been in one phase for longer than it may be.
    pub(super) fn is_over(&mut self, limits: &HttpLimits, now: Instant) -> bool {
        let state = self.watch.state.load(Ordering::Relaxed);
        let since = match self.seen {
            Some((seen, since)) if seen == state => since,
            _ => self.seen.insert((state, now)).1,
        };
        let limit = match state & PHASE {
            IDLE if state == 0 => limits.first.unwrap_or(limits.idle),
            IDLE => limits.idle,
            HEADER => limits.header,
            // Whoever answers a request has limits of its own.
            _ => return false,
        };
        now.duration_since(since) >= limit
    }

    pub(super) fn cut(&self) {
        self.task.abort();
    }
}

/// A stream that tells when bytes come.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    watch: Arc<Watch>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, watch: Arc<Watch>) -> Self {
        Self { stream, watch }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.bytes_come();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
