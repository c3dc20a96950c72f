//! The levels of a sweep, and their order.

use load::SplitMix;
use stamp::counted;
use std::fmt;
use std::time::Duration;

/// Who loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Who {
    /// Connections, each with the same request.
    #[default]
    Connections,
    /// Users who go through steps.
    Users,
    /// Users whose number changes.
    Stages,
}

/// One level of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Connections, or users; in an open loop, and in stages, those at the start. None where another program makes the load.
    pub connections: u32,
    /// Which of them.
    pub who: Who,
    /// Requests a second, in an open loop.
    pub rate: Option<f64>,
    /// Users that begin a second; absent: all at once.
    pub spawn: Option<f64>,
    /// How long the load lasts; absent: as all loads of the plan do.
    pub lasts: Option<Duration>,
    /// Which repetition it is, counted from 1.
    pub repeat: u32,
    /// Whether there is more than one repetition.
    pub repeated: bool,
}

impl Setting {
    /// Each of these levels, connections and rate, `repeat` times. Repetitions are shuffled: in a fixed order, what changes slowly about the machine
    /// would look like an effect of the load.
    pub fn all(levels: &[(u32, Option<f64>)], who: Who, repeat: u32, seed: u64, spawn: Option<f64>) -> Vec<Self> {
        let repeated = repeat > 1;
        let setting = |repeat, &(connections, rate): &(u32, Option<f64>)| Self {
            connections,
            who,
            rate,
            spawn,
            lasts: None,
            repeat,
            repeated,
        };
        let mut all: Vec<Self> =
            (1..=repeat).flat_map(|repeat| levels.iter().map(move |one| setting(repeat, one))).collect();
        if repeated {
            SplitMix::new(seed).shuffle(&mut all);
        }
        all
    }

    /// The end of its run's id: `c05`, `u500`, `r2000`, `c05.2`.
    pub fn name(&self) -> String {
        let repeat = if self.repeated { format!(".{}", self.repeat) } else { String::new() };
        match (self.rate, self.who) {
            (Some(rate), _) => format!("r{rate}{repeat}"),
            (None, Who::Connections) => format!("c{:02}{repeat}", self.connections),
            (None, Who::Users) => format!("u{}{repeat}", self.connections),
            (None, Who::Stages) => format!("stages{repeat}"),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rate, self.who) {
            (Some(rate), Who::Connections) => write!(f, "{}/s", counted(rate, "request")),
            (Some(rate), _) => write!(f, "{}/s", counted(rate, "round")),
            (None, Who::Connections) if self.connections == 0 => f.write_str("another program's load"),
            (None, Who::Connections) => f.write_str(&counted(self.connections, "connection")),
            (None, Who::Users) => f.write_str(&counted(self.connections, "user")),
            (None, Who::Stages) => f.write_str("stages"),
        }
    }
}
