//! One connection of the closed loop: it sends its next request when the answer to the last one is in.

use crate::load::response::{Answer, Garbage, Response};
use crate::load::tally::{histogram, record};
use crate::load::target::CONNECT_WITHIN;
use crate::load::{LoadPlan, Tally, Template, Tracing};
use hdrhistogram::Histogram;
use stamp::{MsgId, clock};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};

/// The delay before the second attempt to connect; it doubles up to the longest one.
const FIRST_DELAY: Duration = Duration::from_millis(10);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// What all connections of one load share. They live on one thread.
#[derive(Debug)]
pub(super) struct Shared {
    template: Template,
    addresses: Vec<SocketAddr>,
    tracing: Option<Tracing>,
    /// No request is sent from here on.
    end: Instant,
    timeout: Duration,
    pub(super) tally: RefCell<Tally>,
    /// Latencies since the live figures were last renewed, µs.
    pub(super) recent: RefCell<Histogram<u64>>,
}

impl Shared {
    pub(super) fn new(plan: &LoadPlan, addresses: Vec<SocketAddr>, tracing: Option<Tracing>, begin: Instant) -> Self {
        Self {
            template: plan.template.clone(),
            addresses,
            tracing,
            end: begin + plan.duration,
            timeout: plan.timeout,
            tally: RefCell::new(Tally::new()),
            recent: RefCell::new(histogram()),
        }
    }
}

impl Shared {
    /// Notes an answer.
    fn note(&self, status: u16, latency: Duration) {
        let mut tally = self.tally.borrow_mut();
        if (200..300).contains(&status) {
            tally.accept(latency);
            record(&mut self.recent.borrow_mut(), latency);
        } else {
            tally.fail(&format!("status {status}"));
        }
    }
}

/// Why a request was not accepted, as it is counted.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("timeout")]
    Timeout,
    #[error("closed before the answer")]
    Closed,
    #[error("not HTTP")]
    Garbage(#[from] Garbage),
    #[error("{}", kind(.0))]
    Io(#[from] io::Error),
}

fn kind(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "connection reset".to_owned(),
        io::ErrorKind::TimedOut => "connect timeout".to_owned(),
        kind => kind.to_string(),
    }
}

pub(super) struct Connection {
    number: u16,
    sequence: u32,
    shared: Rc<Shared>,
    request: Vec<u8>,
    buffer: Vec<u8>,
    delay: Duration,
    /// Fires at the deadline of some earlier request, and is then set to that of the present one: a timer that is not
    /// touched costs nothing.
    watchdog: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(number: u16, shared: Rc<Shared>) -> Self {
        let watchdog = Box::pin(sleep(Duration::ZERO));
        let (request, buffer) = (Vec::new(), vec![0; 16 * 1024]);
        Self { number, sequence: 0, shared, request, buffer, delay: Duration::ZERO, watchdog }
    }

    /// Sends requests until the end of the load.
    pub(super) async fn run(mut self) {
        while clock::now() < self.shared.end {
            let driven = match self.connect().await {
                Ok(stream) => self.drive(stream).await,
                Err(error) => Err(error.into()),
            };
            if let Err(failure) = driven {
                self.shared.tally.borrow_mut().fail(&failure.to_string());
                self.delay = (self.delay * 2).clamp(FIRST_DELAY, LONGEST_DELAY);
                let left = self.shared.end.saturating_duration_since(clock::now());
                sleep(self.delay.min(left)).await;
            }
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let connecting = TcpStream::connect(self.shared.addresses.as_slice());
        let stream =
            timeout(CONNECT_WITHIN, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Uses one TCP connection for as long as it lasts.
    async fn drive(&mut self, mut stream: TcpStream) -> Result<(), Failure> {
        loop {
            let sent = clock::now();
            if sent >= self.shared.end {
                return Ok(());
            }
            let id = MsgId::compose(0, self.number, self.sequence);
            self.sequence = self.sequence.wrapping_add(1);
            if let Some(tracing) = &self.shared.tracing {
                tracing.run.stamp_at(tracing.send, id, sent);
            }
            self.shared.template.write(id, &mut self.request);
            self.shared.tally.borrow_mut().requests += 1;
            let answer = self.exchange(&mut stream, sent + self.shared.timeout).await?;
            self.shared.note(answer.status, clock::now().duration_since(sent));
            self.delay = Duration::ZERO;
            if answer.close {
                return Ok(());
            }
        }
    }

    /// Writes the request and reads the answer.
    async fn exchange(&mut self, stream: &mut TcpStream, deadline: Instant) -> Result<Answer, Failure> {
        let mut response = Response::default();
        let mut held = 0;
        let exchange = async {
            stream.write_all(&self.request).await?;
            loop {
                if held == self.buffer.len() {
                    self.buffer.resize(2 * held, 0);
                }
                let read = stream.read(&mut self.buffer[held..]).await?;
                if read == 0 {
                    return response.end().ok_or(Failure::Closed);
                }
                let filled = held + read;
                let (used, answer) = response.read(&self.buffer[..filled])?;
                if let Some(answer) = answer {
                    return Ok(answer);
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
