//! What a coordinator knows of its workers. Pure: time comes from outside.

use crate::wire::{Line, Order, Phase};
use std::time::{Duration, Instant};

/// A worker that has been silent for so long is lost. Time in which nobody could be heard, as the log store was away, does not count.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// Workers tell how they stand once a second: one that has been silent for so long is not waited for.
const LATE_AFTER: Duration = Duration::from_millis(1_500);

/// One worker.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) worker: String,
    /// What it is to do.
    pub(crate) order: Order,
    /// The last that it said.
    pub(crate) line: Option<Line>,
    /// When that was.
    heard: Option<Instant>,
    /// Since then, as far as it could have been heard.
    silent: Duration,
    pub(crate) lost: Option<Lost>,
}

/// A worker that is there no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    /// When it was heard last.
    pub(crate) at: Instant,
    pub(crate) why: String,
}

impl Seat {
    pub(crate) fn new(worker: String, order: Order) -> Self {
        Self { worker, order, line: None, heard: None, silent: Duration::ZERO, lost: None }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.lost.is_none()
    }

    /// Whether it says less than it should.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent > LATE_AFTER
    }

    /// How far it is with a load.
    pub(crate) fn phase(&self, load: u64) -> Phase {
        self.line.as_ref().filter(|line| line.load == Some(load)).map_or(Phase::Idle, |line| line.phase)
    }

    /// Takes a line, unless it is an old one; tells whether it is new.
    pub(crate) fn hear(&mut self, line: Line, now: Instant) -> bool {
        if self.line.as_ref().is_some_and(|known| known.number >= line.number) {
            return false;
        }
        let heard_before = self.heard.replace(now).unwrap_or(now);
        self.silent = Duration::ZERO;
        let before = line.load.map_or(Phase::Idle, |load| self.phase(load));
        let was_loading = matches!(before, Phase::Running | Phase::There | Phase::Ended);
        match line.phase {
            Phase::Left => self.lose(now, "it was told to end"),
            Phase::Lapsed => self.lose(heard_before, "it did not hear from its coordinator for longer than its lease"),
            Phase::Refused if was_loading => {
                let why = line.why.clone().unwrap_or_default();
                self.lose(now, &format!("its load failed: {why}"));
            }
            _ => {}
        }
        // What has been measured outlives the words of a worker that has nothing more to tell of it.
        let tells_less = line.snapshot.is_none() && self.line.as_ref().is_some_and(|known| known.snapshot.is_some());
        let is_last_word = line.phase == Phase::Left && line.load.is_some() && !tells_less;
        let is_of_next = line.load.is_some() && self.line.as_ref().is_some_and(|known| known.load != line.load);
        if self.is_there() && (!tells_less || is_of_next) || is_last_word {
            self.line = Some(line);
        } else if let Some(known) = &mut self.line {
            known.number = line.number;
        }
        true
    }

    /// So much time has passed in which it could have been heard.
    pub(crate) fn wait(&mut self, passed: Duration, now: Instant) {
        self.silent += passed;
        if self.silent > SILENT_AFTER {
            let why = format!("nothing was heard of it for {:.0} s", SILENT_AFTER.as_secs_f64());
            self.lose(self.heard.unwrap_or(now), &why);
        }
    }

    pub(crate) fn lose(&mut self, at: Instant, why: &str) {
        self.lost.get_or_insert_with(|| Lost { at, why: why.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stamp::clock;

    fn seat() -> Seat {
        Seat::new("w".to_owned(), Order { coordinator: "c".to_owned(), released: false, unused: false, task: None })
    }

    fn line(number: u64, load: Option<u64>, phase: Phase) -> Line {
        let snapshot = load.and_then(|_| serde_json::value::to_raw_value(&0).ok());
        Line { worker: "w".to_owned(), number, load, phase, why: None, clock_error_us: None, snapshot }
    }

    #[test]
    fn silence_loses_a_worker_and_nothing_brings_it_back() {
        let (mut seat, now) = (seat(), clock::now());
        for _ in 0..5 {
            seat.wait(Duration::from_secs(1), now);
        }
        assert_eq!((seat.is_there(), seat.is_silent()), (true, true));
        seat.hear(line(1, Some(7), Phase::Running), now);
        assert!(!seat.is_silent());
        // A line that is read again tells nothing new.
        (0..6).for_each(|_| {
            seat.hear(line(1, Some(7), Phase::Running), now);
            seat.wait(Duration::from_secs(1), now);
        });
        assert!(!seat.is_there());
        seat.hear(line(2, Some(7), Phase::Ended), now);
        assert_eq!((seat.is_there(), seat.phase(7)), (false, Phase::Running));
    }

    #[test]
    fn what_it_measured_outlives_its_leave() {
        let (mut seat, now) = (seat(), clock::now());
        seat.hear(line(1, Some(7), Phase::Running), now);
        seat.hear(line(2, None, Phase::Idle), now);
        assert_eq!((seat.phase(7), seat.phase(8)), (Phase::Running, Phase::Idle));
        // The next load counts anew.
        seat.hear(line(3, Some(8), Phase::Ready), now);
        assert_eq!((seat.phase(7), seat.phase(8)), (Phase::Idle, Phase::Ready));
        seat.hear(line(4, Some(8), Phase::Left), now);
        assert_eq!((seat.phase(8), seat.is_there()), (Phase::Left, false));
    }

    #[test]
    fn who_stops_at_the_end_of_its_lease_or_fails_is_lost_with_what_it_told() {
        for phase in [Phase::Lapsed, Phase::Refused] {
            let (mut seat, now) = (seat(), clock::now());
            seat.hear(line(1, Some(7), Phase::Running), now);
            seat.hear(Line { snapshot: None, ..line(2, Some(7), phase) }, now);
            assert_eq!((seat.phase(7), seat.is_there()), (Phase::Running, false));
        }
        // Who refuses before it has begun is still there.
        let (mut seat, now) = (seat(), clock::now());
        seat.hear(Line { snapshot: None, ..line(1, Some(7), Phase::Refused) }, now);
        seat.hear(Line { snapshot: None, ..line(2, Some(7), Phase::Refused) }, now);
        assert_eq!((seat.phase(7), seat.is_there()), (Phase::Refused, true));
    }
}
