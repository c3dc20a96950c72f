//! The disciplined clock of a process: a thread that probes Redis and feeds the filter.
//!
//! A thread of its own, with a blocking connection of its own: on the event loop of a busy service a probe would wait for
//! its turn twice, and the round trip would grow from tens of microseconds to milliseconds.

use super::{Filter, Line, Probe, Step, Verdict, now};
use crate::{RedisUrl, StoreError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// Probes at the start, one right after the other.
const BURST: u32 = 16;

/// How often the clock is probed after that, for a while: under load it takes some dozen probes until one is quick.
const EARLY_PERIOD: Duration = Duration::from_millis(10);
const EARLY_PERIODS: u32 = 32;

/// How often the clock is probed from then on.
const PERIOD: Duration = Duration::from_millis(100);

/// Probes each time: the first one warms the way for the second.
const PROBES_PER_PERIOD: u32 = 2;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Redis time for any moment of this process. Cheap to clone; the thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct RedisClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The moment that local nanoseconds are counted from.
    anchor: Instant,
    state: Mutex<State>,
    /// Another server may have taken over.
    looks_again: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    filter: Filter,
    newest: Option<Probe>,
    /// All steps together.
    stepped: Step,
}

/// A moment in Redis time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisTime {
    /// µs since 1970-01-01 UTC.
    pub us: i64,
    /// The bound of its error, µs, rounded up.
    pub error_us: u32,
}

/// What the clock knows at one moment. It converts any number of moments alike, in one time scale.
#[derive(Debug, Clone, Copy)]
pub struct ClockState {
    anchor: Instant,
    /// Redis time as a function of local time.
    pub line: Line,
    /// How often the Redis clock has been set since this clock started.
    pub steps: u32,
    /// How far it was set in all: the sum of the steps, and of the bounds of their errors.
    pub stepped: Step,
    /// The newest round trip, ns.
    pub round_trip_ns: i64,
}

impl RedisClock {
    /// Starts probing a Redis server, which need not be there yet.
    ///
    /// # Panics
    /// When the operating system starts no thread.
    #[must_use]
    pub fn start(url: &RedisUrl) -> Self {
        let shared = Arc::new(Shared { anchor: now(), state: Mutex::default(), looks_again: AtomicBool::new(false) });
        let (watched, url) = (Arc::downgrade(&shared), url.clone());
        let thread = std::thread::Builder::new().name("clock".to_owned());
        // Without threads this process could do nothing else either.
        #[allow(clippy::expect_used)]
        thread.spawn(move || discipline(&watched, &url)).expect("a thread for the clock");
        Self { shared }
    }

    /// Looks the server's address up again before the next probe: another one may have taken over, with a clock of its own.
    pub(crate) fn look_again(&self) {
        self.shared.looks_again.store(true, Ordering::Relaxed);
    }

    /// What the clock knows now; nothing before the first probe.
    #[must_use]
    pub fn state(&self) -> Option<ClockState> {
        let state = self.shared.lock();
        Some(ClockState {
            anchor: self.shared.anchor,
            line: state.filter.line()?,
            steps: state.filter.steps(),
            stepped: state.stepped,
            round_trip_ns: state.newest.map_or(0, |probe| probe.received_ns - probe.sent_ns),
        })
    }
}

impl ClockState {
    /// A moment of this process in Redis time.
    #[must_use]
    pub fn at(&self, moment: Instant) -> RedisTime {
        let (redis_ns, error_ns) = self.line.redis_ns(local_ns(self.anchor, moment));
        let error_us = u32::try_from(error_ns.max(0).unsigned_abs().div_ceil(1000)).unwrap_or(u32::MAX);
        // To the nearest microsecond: the filter already allows for TIME being cut.
        RedisTime { us: (redis_ns + 500).div_euclid(1000), error_us }
    }

    /// The moment of this process at which it is this Redis time, µs since 1970-01-01 UTC; that of the anchor, where it lies before that.
    #[must_use]
    pub fn moment(&self, redis_us: i64) -> Instant {
        // Both clocks run at nearly the same rate: each step leaves some parts per million of the rest.
        let mut local = local_ns(self.anchor, now());
        for _ in 0..3 {
            local += redis_us * 1000 - self.line.redis_ns(local).0;
        }
        self.anchor + Duration::from_nanos(u64::try_from(local).unwrap_or(0))
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic cannot leave the filter half changed in a way that the next probe would not mend.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, probe: &Probe) {
        let mut state = self.lock();
        state.newest = Some(*probe);
        match state.filter.add(probe) {
            Verdict::Agrees => {}
            Verdict::Drifted => debug!("the redis clock changed its rate"),
            Verdict::Stepped(Step { size_us, error_us }) => {
                state.stepped.size_us += size_us;
                state.stepped.error_us += error_us;
                warn!("the redis clock was set by {size_us} µs");
            }
        }
    }
}

/// Probes until nobody holds the clock any more.
fn discipline(watched: &Weak<Shared>, url: &RedisUrl) {
    let mut connection = None;
    let mut away = false;
    let mut probes = BURST;
    let mut early = EARLY_PERIODS;
    while let Some(shared) = watched.upgrade() {
        if shared.looks_again.swap(false, Ordering::Relaxed) {
            connection = None;
        }
        let connected = match connection.take() {
            Some(connection) => Ok(connection),
            None => url.connect_blocking(PATIENCE),
        };
        match connected
            .and_then(|connected| probe_all(connected, url, shared.anchor, probes, |probe| shared.take(probe)))
        {
            Ok(connected) => {
                connection = Some(connected);
                probes = PROBES_PER_PERIOD;
                if std::mem::take(&mut away) {
                    info!("the redis clock at {url} is back");
                }
            }
            Err(error) if !std::mem::replace(&mut away, true) => warn!("the clock runs on unwatched: {error}"),
            Err(_) => {}
        }
        drop(shared);
        std::thread::sleep(if early > 0 { EARLY_PERIOD } else { PERIOD });
        early = early.saturating_sub(1);
    }
}

fn probe_all(
    mut connection: redis::Connection,
    url: &RedisUrl,
    anchor: Instant,
    probes: u32,
    mut take: impl FnMut(&Probe),
) -> Result<redis::Connection, StoreError> {
    for _ in 0..probes {
        take(&probe_once(&mut connection, anchor).map_err(|error| url.failed(error))?);
    }
    Ok(connection)
}

/// Brackets one reading of Redis `TIME`. Local times count from `anchor`.
///
/// # Errors
/// When the connection fails.
pub fn probe_once(connection: &mut redis::Connection, anchor: Instant) -> redis::RedisResult<Probe> {
    let time = redis::cmd("TIME");
    let sent = now();
    let (seconds, micros): (i64, i64) = time.query(connection)?;
    let received = now();
    Ok(Probe {
        sent_ns: local_ns(anchor, sent),
        received_ns: local_ns(anchor, received),
        redis_us: seconds * 1_000_000 + micros,
    })
}

/// Nanoseconds from `anchor` to `moment`, which may lie before it.
fn local_ns(anchor: Instant, moment: Instant) -> i64 {
    let ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match moment.checked_duration_since(anchor) {
        Some(since) => ns(since),
        None => -ns(anchor.duration_since(moment)),
    }
}
