//! A user's connection to one site: opened where need be, one request and its answer at a time.

use crate::answer::{Seen, excerpt};
use crate::response::{Answer, Garbage, Look, Response};
use crate::stream::{ConnectError, Endpoint, Sending, Stream};
use stamp::clock;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::ReadBuf;
use tokio::time::{Sleep, sleep};

/// Bytes that are read at a time.
const READ: usize = 16 * 1024;

/// Why a request was not answered, as it is counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("timeout")]
    Timeout,
    #[error("closed before the answer")]
    Ended,
    #[error("closed within the answer")]
    Closed,
    #[error(transparent)]
    Garbage(#[from] Garbage),
    #[error("{}", kind(.0))]
    Io(#[from] io::Error),
    #[error("{0}")]
    Tls(String),
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Io(error) => Failure::Io(error),
            error @ ConnectError::Tls(_) => Failure::Tls(error.to_string()),
        }
    }
}

/// Whether the peer has ended the connection.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset | ConnectionAborted)
}

/// The numbers of Linux, macOS and the BSDs alike; `io::ErrorKind` has no stable names for them.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

fn kind(error: &io::Error) -> String {
    match error.kind() {
        _ if error.raw_os_error() == Some(EMFILE) => "too many open files: raise `ulimit -n`".to_owned(),
        _ if error.raw_os_error() == Some(ENFILE) => {
            "too many open files on this machine: raise fs.file-max".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "no local port left: load with fewer connections, or keep them".to_owned(),
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "connection reset".to_owned(),
        io::ErrorKind::TimedOut => "connect timeout".to_owned(),
        kind => kind.to_string(),
    }
}

/// What all connections of a thread read into: nobody keeps anything there while it waits.
#[derive(Debug, Default)]
pub(crate) struct ReadBuffer {
    bytes: Vec<u8>,
    /// How much of it the last read filled.
    filled: usize,
}

impl ReadBuffer {
    /// The beginning of what was read last, for people.
    pub(crate) fn excerpt(&self) -> String {
        excerpt(&self.bytes[..self.filled])
    }
}

/// A connection to one site.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    stream: Option<Stream>,
    /// It has answered before.
    is_kept: bool,
    /// What has come of an answer that cannot be read yet.
    held: Vec<u8>,
}

/// Fires at the deadline of some earlier request, and is then set to that of the present one: a timer that is not touched costs nothing.
pub(crate) struct Watchdog(Pin<Box<Sleep>>);

impl Watchdog {
    pub(crate) fn new() -> Self {
        Self(Box::pin(sleep(Duration::ZERO)))
    }
}

/// What an exchange needs beside its connection.
pub(crate) struct Sent<'a> {
    pub(crate) request: &'a [u8],
    pub(crate) is_head: bool,
    pub(crate) deadline: Instant,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) buffer: &'a RefCell<ReadBuffer>,
}

impl Connection {
    /// Sees that there is one; tells whether it had to be opened anew since the server had ended the one before.
    pub(crate) async fn ready(&mut self, endpoint: &Endpoint) -> Result<bool, Failure> {
        let mut ended = false;
        // The server may have ended a connection that was idle: that is no fault of the next request.
        if let Some(stream) = &mut self.stream
            && !stream.is_idle().await
        {
            self.stream = None;
            ended = true;
        }
        self.is_kept = self.stream.is_some();
        if self.stream.is_none() {
            self.stream = Some(endpoint.connect().await?);
        }
        Ok(ended)
    }

    /// Sends a request and reads its answer, which `seen` looks into; tells also whether the connection had to be opened anew.
    pub(crate) async fn exchange(
        &mut self,
        sent: &Sent<'_>,
        seen: Option<&mut Seen>,
        watchdog: &mut Watchdog,
    ) -> (Result<Answer, Failure>, bool) {
        match seen {
            Some(seen) => self.exchange_again(sent, seen, watchdog).await,
            None => self.exchange_again(sent, &mut (), watchdog).await,
        }
    }

    async fn exchange_again(
        &mut self,
        sent: &Sent<'_>,
        look: &mut impl Look,
        watchdog: &mut Watchdog,
    ) -> (Result<Answer, Failure>, bool) {
        let mut anew = false;
        let mut answer = self.once(sent, look, watchdog).await;
        // The server may end it in this very moment, before it has seen the request.
        if self.is_kept && matches!(answer, Err(Failure::Ended)) {
            anew = true;
            answer = match sent.endpoint.connect().await {
                Ok(stream) => {
                    self.stream = Some(stream);
                    self.once(sent, look, watchdog).await
                }
                Err(error) => Err(error.into()),
            };
        }
        if !matches!(answer, Ok(Answer { close: false, .. })) {
            self.stream = None;
        }
        (answer, anew)
    }

    async fn once(
        &mut self,
        sent: &Sent<'_>,
        look: &mut impl Look,
        watchdog: &mut Watchdog,
    ) -> Result<Answer, Failure> {
        let Some(stream) = &mut self.stream else { return Err(Failure::Ended) };
        self.held.clear();
        let mut reading =
            Reading { response: Response::new(sent.is_head), sending: Sending::new(sent.request), begun: false };
        let held = &mut self.held;
        let exchange = poll_fn(|context| reading.poll(stream, held, &mut sent.buffer.borrow_mut(), look, context));
        tokio::pin!(exchange);
        loop {
            tokio::select! {
                biased;
                answer = &mut exchange => return answer,
                () = &mut watchdog.0 => {
                    if clock::now() >= sent.deadline {
                        return Err(Failure::Timeout);
                    }
                    watchdog.0.as_mut().reset(sent.deadline.into());
                }
            }
        }
    }
}

/// An exchange under way.
struct Reading<'a> {
    response: Response,
    sending: Sending<'a>,
    begun: bool,
}

impl Reading<'_> {
    fn poll(
        &mut self,
        stream: &mut Stream,
        held: &mut Vec<u8>,
        buffer: &mut ReadBuffer,
        look: &mut impl Look,
        context: &mut Context<'_>,
    ) -> Poll<Result<Answer, Failure>> {
        loop {
            let before = held.len();
            if buffer.bytes.len() < before + READ {
                buffer.bytes.resize(before + READ, 0);
            }
            buffer.bytes[..before].copy_from_slice(held);
            let mut room = ReadBuf::new(&mut buffer.bytes[before..]);
            let read = match self.sending.poll_read(stream, &mut room, context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => room.filled().len(),
                Poll::Ready(Err(error)) if !self.begun && is_end(&error) => return Poll::Ready(Err(Failure::Ended)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
            };
            if read == 0 {
                let early = if self.begun { Failure::Closed } else { Failure::Ended };
                return Poll::Ready(self.response.end().ok_or(early));
            }
            self.begun = true;
            buffer.filled = before + read;
            let filled = &buffer.bytes[..buffer.filled];
            let (used, answer) = self.response.read(filled, look)?;
            if let Some(Answer { status, close }) = answer {
                // Neither the rest of a request that was answered early nor what nobody asked for may meet the next request.
                let close = close || !self.sending.is_done() || used < filled.len();
                return Poll::Ready(Ok(Answer { status, close }));
            }
            held.clear();
            held.extend_from_slice(&filled[used..]);
        }
    }
}
