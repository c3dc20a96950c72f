//! `GET /events`: server-sent events. A stream holds no queue: it remembers what it has told, and looks what is due when its client has taken that.

use super::{Fault, Server, of};
use crate::board::Board;
use crate::events::Due;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::stream;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Streams at a time.
const MOST: usize = 64;

/// A stream on which nothing happens says so this often: else whoever is between would close it.
const ALIVE: Duration = Duration::from_secs(15);

/// nginx, and what is made of it, would else keep events until it has some kilobytes.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How many streams there are.
#[derive(Debug, Default)]
pub(super) struct Streams(AtomicUsize);

/// One of them; dropping it makes room.
struct Place(Arc<Streams>);

impl Streams {
    fn take(self: &Arc<Self>) -> Option<Place> {
        let place = Place(self.clone());
        (self.0.fetch_add(1, Ordering::Relaxed) < MOST).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whoever watches.
struct Watcher {
    board: Board,
    changed: watch::Receiver<u64>,
    /// The last event of this process that it has.
    seen: Option<u64>,
    is_first: bool,
    is_over: bool,
    _place: Place,
}

impl Server {
    pub(super) fn stream(&self, headers: &HeaderMap) -> Result<Response, Fault> {
        let full = || Fault(StatusCode::SERVICE_UNAVAILABLE, format!("{MOST} pages are open already: close one"));
        let place = self.streams.take().ok_or_else(full)?;
        let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let seen = self.board.look(|inner| {
            // Numbers of another process tell nothing here.
            let (boot, number) = last.split_once('-')?;
            (boot == inner.boot).then(|| number.parse().ok()).flatten()
        });
        let watcher = Watcher {
            changed: self.board.watch(),
            board: self.board.clone(),
            seen,
            is_first: true,
            is_over: false,
            _place: place,
        };
        let body = Body::from_stream(stream::unfold(watcher, Watcher::next));
        let mut response = of(StatusCode::OK, "text/event-stream", body);
        response.headers_mut().insert(UNBUFFERED, HeaderValue::from_static("no"));
        Ok(response)
    }
}

impl Watcher {
    /// What is due next, as soon as something is.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.is_over {
            return None;
        }
        let mut text = String::new();
        if self.is_first {
            self.is_first = false;
            text.push_str("retry: 1000\n\n");
        }
        loop {
            self.changed.borrow_and_update();
            self.write_due(&mut text);
            if !text.is_empty() {
                return Some((Ok(text.into()), self));
            }
            match timeout(ALIVE, self.changed.changed()).await {
                Ok(Ok(())) => {}
                // Nobody tells any more.
                Ok(Err(_)) => return None,
                Err(_) => text.push_str(": nothing new\n\n"),
            }
        }
    }

    fn write_due(&mut self, text: &mut String) {
        let Self { board, seen, is_over, .. } = self;
        let before = *seen;
        board.look(|inner| {
            let mut write = |id: u64, kind: &str, data: &str| {
                // Writing to a String cannot fail. JSON on one line has no line breaks.
                let _ = write!(text, "id: {}-{id}\nevent: {kind}\ndata: {data}\n\n", inner.boot);
                *seen = Some(id);
                *is_over |= kind == "bye";
            };
            match inner.due(before) {
                Due::Nothing => {}
                Due::Snapshot => {
                    let state = inner.state().to_string();
                    write(inner.events.last(), "snapshot", &state);
                }
                Due::Events(events) => events.iter().for_each(|told| write(told.id, told.kind, &told.data)),
            }
        });
    }
}
