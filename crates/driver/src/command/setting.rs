//! The levels of a sweep: their settings, and their order.

use super::sweep::SweepArgs;
use load::SplitMix;
use std::collections::BTreeSet;
use std::fmt;

/// One level of a sweep.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) connections: u16,
    pub(super) rate: Option<f64>,
    pub(super) repeat: u32,
    /// Whether there is more than one repetition.
    repeated: bool,
}

impl Setting {
    /// All levels in the order in which they run.
    pub(super) fn all(args: &SweepArgs) -> Vec<Self> {
        let steps: Vec<f64> = if let (Some(from), Some(to), Some(step)) = (args.rate_from, args.rate_to, args.rate_step)
        {
            // A hair more than the highest, so that rounding does not leave it out.
            std::iter::successors(Some(from), |rate| Some(rate + step))
                .take_while(|rate| *rate <= to * (1.0 + 1e-9))
                .collect()
        } else {
            // Like a level, a rate that is named twice is one.
            let mut rates = args.rates.clone();
            rates.sort_by(f64::total_cmp);
            rates.dedup();
            rates
        };
        let settings: Vec<(u16, Option<f64>)> = if !args.levels.is_empty() {
            // A level is known by its connections: one that is named twice is one level.
            BTreeSet::from_iter(&args.levels).into_iter().map(|&connections| (connections, None)).collect()
        } else if steps.is_empty() {
            (args.from..=args.to).step_by(usize::from(args.step)).map(|connections| (connections, None)).collect()
        } else {
            steps.into_iter().map(|rate| (args.rate_connections, Some(rate))).collect()
        };
        let repeated = args.repeat > 1;
        let setting = |repeat, &(connections, rate): &(u16, Option<f64>)| Self { connections, rate, repeat, repeated };
        let mut all: Vec<Self> =
            (1..=args.repeat).flat_map(|repeat| settings.iter().map(move |one| setting(repeat, one))).collect();
        if repeated {
            // In a fixed order, what changes slowly about the machine would look like an effect of the load.
            SplitMix::new(args.shape.seed).shuffle(&mut all);
        }
        all
    }

    /// The end of its run's id: `c05`, `r2000`, `c05.2`.
    pub(super) fn name(&self) -> String {
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
            None => write!(f, "{} connections", self.connections),
        }
    }
}
