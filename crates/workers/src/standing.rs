//! What a coordinator knows of its workers. Pure: time comes from outside.

use crate::wire::{Line, Order, Phase};
use std::time::{Duration, Instant};

/// A worker that has been silent for so long is lost. Time in which nobody could be heard, as the log store was away, does not count.
pub const SILENT_AFTER: Duration = Duration::from_secs(5);

/// One worker.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) worker: String,
    /// What it is to do.
    pub(crate) order: Order,
    /// The last that it said.
    pub(crate) line: Option<Line>,
    /// Since then.
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
        Self { worker, order, line: None, silent: Duration::ZERO, lost: None }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.lost.is_none()
    }

    /// How far it is with a load.
    pub(crate) fn phase(&self, load: u64) -> Phase {
        self.line.as_ref().filter(|line| line.load == Some(load)).map_or(Phase::Idle, |line| line.phase)
    }

    /// Takes a line, unless it is an old one.
    pub(crate) fn hear(&mut self, line: Line, now: Instant) {
        if self.line.as_ref().is_some_and(|known| known.number >= line.number) {
            return;
        }
        self.silent = Duration::ZERO;
        if line.phase == Phase::Left {
            self.lose(now, "it was told to end");
        }
        // What has been measured outlives the words of a worker that has no load any more.
        let is_about_less = line.load.is_none() && self.line.as_ref().is_some_and(|known| known.load.is_some());
        if self.is_there() && !is_about_less || line.phase == Phase::Left && line.load.is_some() {
            self.line = Some(line);
        } else if let Some(known) = &mut self.line {
            known.number = line.number;
        }
    }

    /// So much time has passed in which it could have been heard.
    pub(crate) fn wait(&mut self, passed: Duration, now: Instant) {
        self.silent += passed;
        if self.silent > SILENT_AFTER {
            let why = format!("nothing was heard of it for {:.0} s", SILENT_AFTER.as_secs_f64());
            self.lose(now.checked_sub(self.silent).unwrap_or(now), &why);
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
        Seat::new("w".to_owned(), Order { coordinator: "c".to_owned(), released: false, task: None })
    }

    fn line(number: u64, load: Option<u64>, phase: Phase) -> Line {
        Line { worker: "w".to_owned(), number, load, phase, why: None, clock_error_us: None, snapshot: None }
    }

    #[test]
    fn silence_loses_a_worker_and_nothing_brings_it_back() {
        let (mut seat, now) = (seat(), clock::now());
        for _ in 0..5 {
            seat.wait(Duration::from_secs(1), now);
        }
        assert!(seat.is_there());
        seat.hear(line(1, Some(7), Phase::Running), now);
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
        seat.hear(line(3, Some(7), Phase::Left), now);
        assert_eq!((seat.phase(7), seat.is_there()), (Phase::Left, false));
    }
}
