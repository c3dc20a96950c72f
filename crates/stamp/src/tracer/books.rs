//! What a process has counted and stamped but not written yet.

use super::{ClockMode, TracerOptions};
use crate::clock::{self, ClockState};
use crate::{MsgId, RunId, Traceparent};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Stages and counters that one process can tell apart.
pub const MOST_STAGES: usize = SLOTS;

const SLOTS: usize = 32;

/// A run that nothing has touched for so long is forgotten. Should it come back, it is counted under a new field.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Runs that one process keeps books of. Beyond it, those that have been still for longest are forgotten sooner, so that
/// clients who name a new run in each message cannot fill the memory.
const RUNS: usize = 4096;

/// One sampled message at one stage.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) book: Arc<Book>,
    pub(super) slot: usize,
    pub(super) id: MsgId,
    pub(super) at: Instant,
    /// What few stamps tell beside; boxed, as most tell nothing.
    pub(super) remark: Option<Box<Remark>>,
}

/// What a stamp tells beside its time.
#[derive(Debug)]
pub(super) enum Remark {
    /// The message came with the context of another trace.
    Traceparent(Traceparent),
    /// Another clock has told the event's time, µs since 1970-01-01 UTC: it takes the place of the moment.
    Foreign { event_us: i64, clock: Arc<str> },
}

/// One run's totals since this process first saw it.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) run: RunId,
    /// Which of this process's books of this run it is: see [`FORGET_AFTER`].
    pub(super) edition: u64,
    counts: [AtomicU64; SLOTS],
    dropped: [AtomicU64; SLOTS],
}

/// All runs of one process, and the stamps that wait.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) options: TracerOptions,
    names: Mutex<Vec<Name>>,
    open: Mutex<Open>,
    waiting: Mutex<VecDeque<Mark>>,
    /// Wakes the flusher when the first stamp comes to wait.
    pub(super) wake: Notify,
    idle: AtomicBool,
    /// How the writing goes, as the flusher saw it last.
    pub(super) progress: Progress,
}

/// What a slot counts.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) text: String,
    /// A stage, and no other counter.
    pub(super) is_stage: bool,
}

#[derive(Debug)]
struct Open {
    books: HashMap<RunId, Page>,
    /// The totals of the runs that have been forgotten, so that the sum over all runs never falls.
    forgotten: Totals,
    last: Option<Arc<Book>>,
    editions: u64,
}

/// A book, and what of it the log store has.
#[derive(Debug)]
struct Page {
    book: Arc<Book>,
    written: Totals,
    touched: Instant,
}

/// A book's totals at one moment: counts, and stamps dropped, by slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) counts: [u64; SLOTS],
    pub(super) dropped: [u64; SLOTS],
}

impl Totals {
    const ZERO: Totals = Totals { counts: [0; SLOTS], dropped: [0; SLOTS] };

    fn add(&mut self, other: &Totals) {
        for slot in 0..SLOTS {
            self.counts[slot] += other.counts[slot];
            self.dropped[slot] += other.dropped[slot];
        }
    }
}

impl Book {
    pub(super) fn count(&self, slot: usize, by: u64) {
        // Release: whoever sees this count also sees the stamp that was pushed before it.
        self.counts[slot].fetch_add(by, Ordering::Release);
    }

    pub(super) fn drop_stamps(&self, slot: usize, number: u64) {
        self.dropped[slot].fetch_add(number, Ordering::Relaxed);
    }

    fn totals(&self) -> Totals {
        let read = |slots: &[AtomicU64; SLOTS]| std::array::from_fn(|slot| slots[slot].load(Ordering::Acquire));
        Totals { counts: read(&self.counts), dropped: read(&self.dropped) }
    }
}

impl Books {
    pub(super) fn new(options: TracerOptions) -> Self {
        Self {
            options,
            names: Mutex::default(),
            open: Mutex::new(Open { books: HashMap::new(), forgotten: Totals::ZERO, last: None, editions: 0 }),
            waiting: Mutex::default(),
            wake: Notify::new(),
            idle: AtomicBool::new(true),
            progress: Progress::default(),
        }
    }

    /// Whether the message is stamped.
    pub(super) fn samples(&self, id: MsgId) -> bool {
        self.options.every.samples(id) && self.options.clock != ClockMode::Off
    }

    /// The slot of a stage or counter.
    pub(super) fn slot(&self, text: &str, is_stage: bool) -> usize {
        let mut names = lock(&self.names);
        if let Some(slot) = names.iter().position(|known| known.text == text) {
            return slot;
        }
        assert!(names.len() < SLOTS, "one process may use at most {SLOTS} stages and counters");
        names.push(Name { text: text.to_owned(), is_stage });
        names.len() - 1
    }

    pub(super) fn names(&self) -> Vec<Name> {
        lock(&self.names).clone()
    }

    /// The book of a run, a new one if need be.
    pub(super) fn open(&self, run: &str) -> Arc<Book> {
        let mut open = lock(&self.open);
        // Messages come in long rows of the same run.
        if let Some(last) = &open.last
            && last.run.as_str() == run
        {
            return last.clone();
        }
        let run = RunId::trusted(run);
        let edition = open.editions;
        let page = open.books.entry(run.clone()).or_insert_with(|| Page {
            book: Arc::new(Book {
                run,
                edition,
                counts: std::array::from_fn(|_| AtomicU64::new(0)),
                dropped: std::array::from_fn(|_| AtomicU64::new(0)),
            }),
            written: Totals::ZERO,
            touched: clock::now(),
        });
        let book = page.book.clone();
        open.editions += 1;
        open.last = Some(book.clone());
        book
    }

    /// Queues a stamp, or drops and counts it when the buffer is full.
    pub(super) fn push(&self, mark: Mark) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= self.options.capacity {
            mark.book.drop_stamps(mark.slot, 1);
            return;
        }
        waiting.push_back(mark);
        drop(waiting);
        if self.idle.swap(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// Takes every stamp that waits. From now on the next one wakes the flusher again.
    pub(super) fn take(&self) -> VecDeque<Mark> {
        self.idle.store(true, Ordering::Release);
        std::mem::take(&mut *lock(&self.waiting))
    }

    /// Puts stamps that could not be written back in front, as far as there is room.
    pub(super) fn put_back(&self, mut marks: VecDeque<Mark>) {
        let mut waiting = lock(&self.waiting);
        let room = self.options.capacity.saturating_sub(waiting.len());
        for mark in marks.drain(room.min(marks.len())..) {
            mark.book.drop_stamps(mark.slot, 1);
        }
        marks.append(&mut waiting);
        *waiting = marks;
    }

    /// How many stamps wait.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.waiting).len()
    }

    /// The totals over all runs since the process started.
    pub(super) fn totals(&self) -> Totals {
        let open = lock(&self.open);
        let mut sum = open.forgotten;
        for page in open.books.values() {
            sum.add(&page.book.totals());
        }
        sum
    }

    /// The books whose totals the log store does not have yet, with those totals.
    pub(super) fn changed(&self) -> Vec<(Arc<Book>, Totals)> {
        let now = clock::now();
        let mut open = lock(&self.open);
        let mut changed = Vec::new();
        for page in open.books.values_mut() {
            let totals = page.book.totals();
            if totals != page.written {
                page.touched = now;
                changed.push((page.book.clone(), totals));
            }
        }
        changed
    }

    /// Another log store may have taken over, or the same one begun anew, without the newest of what was confirmed: every book is to be written again.
    pub(super) fn write_all_again(&self) {
        for page in lock(&self.open).books.values_mut() {
            page.written = Totals::ZERO;
        }
    }

    /// Notes that the log store has these totals, and forgets runs that have long been still.
    pub(super) fn written(&self, totals: &[(Arc<Book>, Totals)]) {
        let mut open = lock(&self.open);
        for (book, totals) in totals {
            if let Some(page) = open.books.get_mut(&book.run) {
                page.written = *totals;
            }
        }
        let mut too_many = open.books.len().saturating_sub(RUNS);
        let oldest = if too_many > 0 { open.touched_before(too_many) } else { None };
        let now = clock::now();
        let Open { books, forgotten, last, .. } = &mut *open;
        books.retain(|_, page| {
            let crowded = too_many > 0 && oldest.is_some_and(|oldest| page.touched <= oldest);
            let still = crowded || now.duration_since(page.touched) > FORGET_AFTER;
            // One reference is the page's own, one may be `last`'s; any other belongs to a message on its way.
            let held_by_last = last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &page.book));
            let unused = Arc::strong_count(&page.book) == 1 + usize::from(held_by_last);
            let forget = still && unused && page.book.totals() == page.written;
            if forget {
                // Nobody holds the book any more: these are its last totals.
                forgotten.add(&page.written);
                if held_by_last {
                    *last = None;
                }
            }
            too_many -= usize::from(forget && crowded);
            !forget
        });
    }
}

/// How the writing goes.
#[derive(Debug, Default)]
pub(super) struct Progress {
    written: AtomicU64,
    connected: watch::Sender<bool>,
    clock: Mutex<Option<ClockState>>,
}

impl Progress {
    /// The log store has taken stamps.
    pub(super) fn wrote(&self, stamps: usize) {
        self.written.fetch_add(stamps as u64, Ordering::Relaxed);
    }

    /// Stamps that the log store has taken.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(super) fn set_connected(&self, connected: bool) {
        self.connected.send_if_modified(|known| std::mem::replace(known, connected) != connected);
    }

    pub(super) fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    pub(super) fn connections(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    pub(super) fn set_clock(&self, clock: Option<ClockState>) {
        *lock(&self.clock) = clock;
    }

    pub(super) fn clock(&self) -> Option<ClockState> {
        *lock(&self.clock)
    }
}

impl Open {
    /// The moment up to which the given number of runs have been touched last.
    fn touched_before(&self, number: usize) -> Option<Instant> {
        let mut touched: Vec<Instant> = self.books.values().map(|page| page.touched).collect();
        touched.sort_unstable();
        touched.get(number - 1).copied()
    }
}

/// Nothing here can be left half done by a panic, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flush(books: &Books) {
        let totals = books.changed();
        books.written(&totals);
    }

    #[test]
    fn many_runs_do_not_fill_the_memory_and_no_count_is_lost() {
        let books = Books::new(TracerOptions::default());
        let slot = books.slot("send", true);
        let mut written = 0;
        for number in 0..3 * RUNS {
            books.open(&format!("run-{number}")).count(slot, 1);
            if number % 1000 == 0 {
                written += books.changed().len();
                flush(&books);
            }
        }
        written += books.changed().len();
        flush(&books);
        flush(&books);
        assert!(lock(&books.open).books.len() <= RUNS);
        assert_eq!(written, 3 * RUNS);
        assert_eq!(books.totals().counts[slot], 3 * RUNS as u64);
    }

    #[test]
    fn a_run_that_comes_back_is_counted_under_a_new_edition() {
        let books = Books::new(TracerOptions::default());
        let slot = books.slot("send", true);
        let first = books.open("r");
        first.count(slot, 1);
        let edition = first.edition;
        // A message on its way keeps its book alive, whatever the number of runs.
        for number in 0..2 * RUNS {
            books.open(&format!("run-{number}"));
        }
        flush(&books);
        assert!(Arc::ptr_eq(&first, &books.open("r")));
        drop(first);
        for number in 0..2 * RUNS {
            books.open(&format!("other-{number}")).count(slot, 1);
        }
        flush(&books);
        flush(&books);
        assert!(books.open("r").edition > edition);
    }
}
