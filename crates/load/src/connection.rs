//! One connection: it asks the pace for the next intended send time, sends, and waits for the answer.

use crate::pace::Pace;
use crate::response::{Answer, Garbage, Response};
use crate::stream::{ConnectError, Endpoint, Sending, Stream};
use crate::tally::{histogram, record};
use crate::{LoadPlan, StatusSet, Tally, Template, Tracing};
use hdrhistogram::Histogram;
use roaring::RoaringTreemap;
use stamp::{MsgId, clock};
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::{Sleep, sleep};

/// The delay before the second attempt to connect; it doubles up to the longest one.
const FIRST_DELAY: Duration = Duration::from_millis(10);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// What all connections of one load share. They live on one thread.
#[derive(Debug)]
pub(crate) struct Shared {
    template: Template,
    endpoint: Endpoint,
    tracing: Option<Tracing>,
    timeout: Duration,
    accept: StatusSet,
    pub(crate) pace: Pace,
    pub(crate) tally: RefCell<Tally>,
    /// Requests sent and not answered.
    pub(crate) in_flight: Cell<u64>,
    /// When the last answer came.
    last_answer: Cell<Option<Instant>>,
    /// Response times since the live figures were last renewed, and those of this second before them, µs.
    pub(crate) recent: RefCell<Histogram<u64>>,
    pub(crate) second: RefCell<Histogram<u64>>,
}

impl Shared {
    pub(crate) fn new(plan: &LoadPlan, endpoint: Endpoint, tracing: Option<Tracing>, pace: Pace) -> Self {
        Self {
            template: plan.template.clone(),
            endpoint,
            tracing,
            timeout: plan.timeout,
            accept: plan.accept.clone(),
            pace,
            tally: RefCell::new(Tally { accepted_ids: plan.keep_ids.then(RoaringTreemap::new), ..Tally::new() }),
            in_flight: Cell::new(0),
            last_answer: Cell::new(None),
            recent: RefCell::new(histogram()),
            second: RefCell::new(histogram()),
        }
    }

    /// Notes that a request goes out.
    fn send(&self, intended: Instant, sent: Instant) {
        let mut tally = self.tally.borrow_mut();
        tally.requests += 1;
        record(&mut tally.send_delay, sent.duration_since(intended));
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// Notes an answer.
    fn answer(&self, id: MsgId, status: u16, intended: Instant, sent: Instant) {
        let now = clock::now();
        self.last_answer.set(Some(now));
        if !self.accept.contains(status) {
            return self.fail(&format!("status {status}"), intended);
        }
        let mut tally = self.tally.borrow_mut();
        record(&mut tally.service, now.duration_since(sent));
        record(&mut tally.response, now.duration_since(intended));
        if let Some(ids) = &mut tally.accepted_ids {
            ids.insert(id.get());
        }
        record(&mut self.recent.borrow_mut(), now.duration_since(intended));
    }

    /// Notes that nobody waits any more for what has not been answered.
    pub(crate) fn give_up(&self) {
        (0..self.in_flight.take()).for_each(|_| self.tally.borrow_mut().fail("interrupted"));
    }

    /// When the load stopped sending: at its end, or, where the number of requests ended it, with the last answer. What is waited for after
    /// that is no part of the time over which rates are told: one request that is never answered would change them all.
    pub(crate) fn sending_ended(&self) -> Instant {
        let now = clock::now();
        let ended = if self.pace.is_used_up() { self.last_answer.get() } else { Some(self.pace.end()) };
        ended.unwrap_or(now).min(now)
    }

    /// Notes a request that has failed.
    fn fail(&self, kind: &str, intended: Instant) {
        let mut tally = self.tally.borrow_mut();
        tally.fail(kind);
        record(&mut tally.failed, clock::now().duration_since(intended));
    }
}

/// Why a request was not accepted, as it is counted.
#[derive(Debug, thiserror::Error)]
enum Failure {
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

pub(crate) struct Connection {
    number: u16,
    sequence: u32,
    shared: Rc<Shared>,
    stream: Option<Stream>,
    request: Vec<u8>,
    buffer: Vec<u8>,
    delay: Duration,
    /// Fires at the deadline of some earlier request, and is then set to that of the present one: a timer that is not
    /// touched costs nothing.
    watchdog: Pin<Box<Sleep>>,
}

impl Connection {
    pub(crate) fn new(number: u16, shared: Rc<Shared>) -> Self {
        let watchdog = Box::pin(sleep(Duration::ZERO));
        let (request, buffer) = (Vec::new(), vec![0; 16 * 1024]);
        Self { number, sequence: 0, shared, stream: None, request, buffer, delay: Duration::ZERO, watchdog }
    }

    /// Sends requests from `delay` on until the end of the load.
    pub(crate) async fn run(mut self, delay: Duration) {
        let shared = self.shared.clone();
        shared.pace.pause(delay).await;
        while let Some(intended) = shared.pace.next_send().await {
            if let Err(failure) = self.request(intended).await {
                self.stream = None;
                shared.fail(&failure.to_string(), intended);
                self.delay = (self.delay * 2).clamp(FIRST_DELAY, LONGEST_DELAY);
                let left = shared.pace.end().saturating_duration_since(clock::now());
                sleep(self.delay.min(left)).await;
            }
        }
    }

    /// Sends one request, over a new connection if need be, and waits for the answer.
    async fn request(&mut self, intended: Instant) -> Result<(), Failure> {
        let shared = self.shared.clone();
        let mut kept = self.stream.take();
        // The server may have ended a connection that was idle: that is no fault of this request.
        if let Some(stream) = &mut kept
            && !stream.is_idle().await
        {
            kept = None;
            shared.tally.borrow_mut().reconnected += 1;
        }
        let is_kept = kept.is_some();
        let mut stream = match kept {
            Some(stream) => stream,
            None => shared.endpoint.connect().await?,
        };
        let id = MsgId::compose(0, self.number, self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
        shared.template.write(id, &mut self.request);
        let sent = clock::now();
        if let Some(tracing) = &shared.tracing {
            tracing.run.stamp_at(tracing.send, id, intended);
        }
        shared.send(intended, sent);
        let deadline = sent + shared.timeout;
        let mut answer = self.exchange(&mut stream, deadline).await;
        // It may also do so in this very moment, before it has seen the request.
        if is_kept && matches!(answer, Err(Failure::Ended)) {
            shared.tally.borrow_mut().reconnected += 1;
            answer = match shared.endpoint.connect().await {
                Ok(anew) => {
                    stream = anew;
                    self.exchange(&mut stream, deadline).await
                }
                Err(error) => Err(error.into()),
            };
        }
        shared.in_flight.set(shared.in_flight.get() - 1);
        let answer = answer?;
        shared.answer(id, answer.status, intended, sent);
        self.delay = Duration::ZERO;
        if !answer.close {
            self.stream = Some(stream);
        }
        Ok(())
    }

    /// Writes the request and reads the answer.
    async fn exchange(&mut self, stream: &mut Stream, deadline: Instant) -> Result<Answer, Failure> {
        let mut response = Response::new(self.shared.template.is_head());
        let mut held = 0;
        let exchange = async {
            let mut begun = false;
            let mut sending = Sending::new(&self.request);
            loop {
                if held == self.buffer.len() {
                    self.buffer.resize(2 * held, 0);
                }
                let read = match sending.read(stream, &mut self.buffer[held..]).await {
                    Ok(0) => match response.end() {
                        Some(answer) => return Ok(answer),
                        None => return Err(if begun { Failure::Closed } else { Failure::Ended }),
                    },
                    Ok(read) => read,
                    Err(error) if !begun && is_end(&error) => return Err(Failure::Ended),
                    Err(error) => return Err(error.into()),
                };
                begun = true;
                let filled = held + read;
                let (used, answer) = response.read(&self.buffer[..filled])?;
                if let Some(Answer { status, close }) = answer {
                    // Neither the rest of a request that was answered early nor what nobody asked for may meet the next request.
                    return Ok(Answer { status, close: close || !sending.is_done() || used < filled });
                }
                self.buffer.copy_within(used..filled, 0);
                held = filled - used;
            }
        };
        tokio::pin!(exchange);
        loop {
            tokio::select! {
                biased;
                answer = &mut exchange => return answer,
                () = &mut self.watchdog => {
                    if clock::now() >= deadline {
                        return Err(Failure::Timeout);
                    }
                    self.watchdog.as_mut().reset(deadline.into());
                }
            }
        }
    }
}
