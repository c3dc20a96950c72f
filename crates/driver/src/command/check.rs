//! Wrong usage of a sweep that clap cannot see.

use super::sweep::{Generator, SweepArgs};
use stamp::{UsageError, ensure_usage};
use std::time::Duration;

/// Levels of one sweep at most.
const MOST_LEVELS: f64 = 10_000.0;

impl SweepArgs {
    /// Checks what clap cannot.
    ///
    /// # Errors
    /// Says what contradicts itself, and what to do.
    pub(super) fn check(&self) -> Result<(), UsageError> {
        ensure_usage(self.from <= self.to, || format!("--from {} is above --to {}: swap them", self.from, self.to))?;
        if let (Some(from), Some(to), Some(step)) = (self.rate_from, self.rate_to, self.rate_step) {
            ensure_usage(from <= to, || format!("--rate-from {from} is above --rate-to {to}: swap them"))?;
            let levels = (to - from) / step;
            ensure_usage(levels < MOST_LEVELS, || {
                format!("--rate-step {step} makes {levels:.0} levels: give a larger one")
            })?;
        }
        ensure_usage(
            self.clock != service::Clock::Off,
            || "--clock off leaves nothing to report: use driver load instead",
        )?;
        if self.generator == Generator::Wrk {
            ensure_usage(
                self.measuring.workers.workers.is_none(),
                || "--generator wrk is one program on this machine: leave it, or --workers, out",
            )?;
            ensure_usage(
                self.rates.is_empty() && self.rate_from.is_none(),
                || "wrk knows no rates: leave --generator wrk or the rates out",
            )?;
            for (option, time) in [("--duration", self.shape.duration), ("--warmup", self.warmup)] {
                ensure_usage(time == Duration::from_secs(time.as_secs()), || {
                    format!("--generator wrk measures whole seconds: give {option} in these")
                })?;
            }
        }
        self.check_stages()
    }

    /// The private stack stamps what it stamps: another stage would never come.
    fn check_stages(&self) -> Result<(), UsageError> {
        if self.remote.target.is_some() || self.measuring.skip_service_check {
            return Ok(());
        }
        let known = stamp::Path::default();
        match self.path.stages().iter().find(|stage| !known.stages().contains(stage)) {
            None => Ok(()),
            Some(stage) => {
                let known = known.stages().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Err(UsageError(format!(
                    "--path: nothing in the private local stack stamps {stage}; take some of {known}, or name your pipeline with --target"
                )))
            }
        }
    }
}
