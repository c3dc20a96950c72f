//! The levels of a sweep, and their order.

use load::SplitMix;
use std::fmt;

/// One level of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Connections; in an open loop those at the start. None where another program makes the load.
    pub connections: u16,
    /// Requests a second, in an open loop.
    pub rate: Option<f64>,
    /// Which repetition it is, counted from 1.
    pub repeat: u32,
    /// Whether there is more than one repetition.
    pub repeated: bool,
}

impl Setting {
    /// Each of these levels, connections and rate, `repeat` times. Repetitions are shuffled: in a fixed order, what changes slowly about the machine
    /// would look like an effect of the load.
    #[must_use]
    pub fn all(levels: &[(u16, Option<f64>)], repeat: u32, seed: u64) -> Vec<Self> {
        let repeated = repeat > 1;
        let setting = |repeat, &(connections, rate): &(u16, Option<f64>)| Self { connections, rate, repeat, repeated };
        let mut all: Vec<Self> =
            (1..=repeat).flat_map(|repeat| levels.iter().map(move |one| setting(repeat, one))).collect();
        if repeated {
            SplitMix::new(seed).shuffle(&mut all);
        }
        all
    }

    /// The end of its run's id: `c05`, `r2000`, `c05.2`.
    #[must_use]
    pub fn name(&self) -> String {
        let repeat = if self.repeated { format!(".{}", self.repeat) } else { String::new() };
        match self.rate {
            Some(rate) => format!("r{rate}{repeat}"),
            None => format!("c{:02}{repeat}", self.connections),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rate {
            Some(rate) => write!(f, "{rate} requests/s"),
            None if self.connections == 0 => f.write_str("another program's load"),
            None => write!(f, "{} connections", self.connections),
        }
    }
}
