//! The thread that keeps a coordinator's workers: it renews their leases, and hears what they say, whatever the coordinator itself is busy with.

use crate::error::WorkersError;
use crate::standing::Seat;
use crate::store::Meeting;
use crate::wire::{LEASE, Line, Order};
use stamp::{LogStore, RedisUrl, clock};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often leases are renewed.
const RENEWED: Duration = Duration::from_millis(500);

/// How often workers are listened to.
const HEARD: Duration = Duration::from_millis(100);

/// How long the log store may take.
const WITHIN: Duration = Duration::from_secs(2);

/// Nothing for so long: perhaps the log store's clock was set back, and its newest lines are those of the smallest ids.
const FROM_THE_FIRST: Duration = Duration::from_secs(2);

/// Keeps workers until it is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    _ended: DropGuard,
}

#[derive(Debug, Default)]
struct Shared {
    seats: Mutex<Vec<Seat>>,
    /// Orders have been changed.
    changed: Notify,
    /// Something was heard, or somebody was lost.
    heard: Notify,
}

impl Keeper {
    pub(crate) fn start(url: &RedisUrl, coordinator: &str, seats: Vec<Seat>) -> Result<Self, WorkersError> {
        let shared = Arc::new(Shared { seats: Mutex::new(seats), ..Shared::default() });
        let ended = CancellationToken::new();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(WorkersError::Thread)?;
        let (kept, url, coordinator, until) = (shared.clone(), url.clone(), coordinator.to_owned(), ended.clone());
        std::thread::Builder::new()
            .name("workers".to_owned())
            .spawn(move || {
                runtime.block_on(until.run_until_cancelled(keep(&kept, &url, &coordinator)));
            })
            .map_err(WorkersError::Thread)?;
        Ok(Self { shared, _ended: ended.drop_guard() })
    }

    /// The workers, as they stand.
    pub(crate) fn seats(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.shared.lock()
    }

    /// Changes the orders of workers that are there; they are written at once.
    pub(crate) fn order(&self, mut change: impl FnMut(usize, &mut Order)) {
        let mut seats = self.seats();
        seats.iter_mut().enumerate().filter(|(_, seat)| seat.is_there()).for_each(|(at, seat)| {
            change(at, &mut seat.order);
        });
        self.shared.changed.notify_one();
    }

    /// Waits until there is news.
    pub(crate) async fn news(&self) {
        self.shared.heard.notified().await;
    }
}

impl Shared {
    /// A panic elsewhere leaves the seats as they were.
    fn lock(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn orders(&self) -> Vec<(String, Order)> {
        let seats = self.lock();
        let there = seats.iter().filter(|seat| seat.is_there());
        there.map(|seat| (seat.worker.clone(), seat.order.clone())).collect()
    }

    /// Which of them were written.
    fn written(&self, orders: &[(String, Order)], written: &[bool]) {
        let now = clock::now();
        let mut seats = self.lock();
        for ((worker, _), _) in orders.iter().zip(written).filter(|(_, written)| !**written) {
            if let Some(seat) = seats.iter_mut().rev().find(|seat| seat.worker == *worker) {
                seat.lose(now, "another coordinator has taken it");
            }
        }
    }

    /// Takes lines; `passed` is the time in which others could have been heard.
    fn hear(&self, lines: Vec<Line>, passed: Duration) {
        let now = clock::now();
        let mut seats = self.lock();
        let lost = |seats: &[Seat]| seats.iter().filter(|seat| !seat.is_there()).count();
        let (before, has_heard) = (lost(&seats), !lines.is_empty());
        let mut heard = HashSet::new();
        for line in lines {
            // One that was lost may have come back, with a seat of its own.
            if let Some((at, seat)) = seats.iter_mut().enumerate().rev().find(|(_, seat)| seat.worker == line.worker)
                && seat.hear(line, now)
            {
                heard.insert(at);
            }
        }
        let silent = seats.iter_mut().enumerate().filter(|(at, _)| !heard.contains(at));
        silent.for_each(|(_, seat)| seat.wait(passed, now));
        if has_heard || lost(&seats) > before {
            self.heard.notify_one();
        }
    }
}

async fn keep(shared: &Shared, url: &RedisUrl, coordinator: &str) {
    let log = loop {
        match LogStore::connect(url).await {
            Ok(log) => break log,
            Err(_) => sleep(HEARD).await,
        }
    };
    let meeting = Meeting(log);
    let mut renewed: Option<Instant> = None;
    let (mut after, mut last_line, mut last_look) = ("0".to_owned(), clock::now(), clock::now());
    let mut is_changed = true;
    loop {
        if is_changed || renewed.is_none_or(|renewed| clock::now().duration_since(renewed) >= RENEWED) {
            let orders = shared.orders();
            if let Ok(Ok(written)) = timeout(WITHIN, meeting.write_all(&orders, LEASE)).await {
                shared.written(&orders, &written);
                renewed = Some(clock::now());
            }
        }
        let asked = clock::now();
        if let Ok(Ok(lines)) = timeout(WITHIN, meeting.lines(coordinator, &after)).await {
            let now = clock::now();
            // What was not looked at in time is nobody's silence.
            let passed = now.duration_since(last_look).min(HEARD * 5);
            if let Some((id, _)) = lines.last() {
                after.clone_from(id);
                last_line = now;
            } else if now.duration_since(last_line) > FROM_THE_FIRST {
                "0".clone_into(&mut after);
                last_line = now;
            }
            shared.hear(lines.into_iter().map(|(_, line)| line).collect(), passed);
            last_look = now;
        } else {
            last_look = asked.max(last_look);
        }
        is_changed = timeout(HEARD, shared.changed.notified()).await.is_ok();
    }
}
