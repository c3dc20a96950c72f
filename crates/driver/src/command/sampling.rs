//! `--every`: a number, or `auto`, which a sweep over the private pipeline resolves before anything starts.

use experiment::Setting;
use stamp::UsageError;
use stamp::{InvalidSampleEvery, SampleEvery};
use std::str::FromStr;
use std::time::Duration;

/// 1 message in N.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Every {
    /// As many as cost at most 1 % of the processor.
    Auto,
    /// So many.
    One(SampleEvery),
}

impl FromStr for Every {
    type Err = InvalidSampleEvery;

    fn from_str(text: &str) -> Result<Self, InvalidSampleEvery> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::One) }
    }
}

/// What is chosen where the rate is not known. Stamping every message costs some 5 % of a pipeline's processor time (docs/method.md), and 1 in
/// 10 half a per cent.
const CLOSED_LOOP: u64 = 10;

/// Stamped messages a second that keep one processor busy for 1 % of its time: each costs some 3 µs over all services.
const STAMPED_PER_SEC: f64 = 3300.0;

/// A closed loop is taken to reach this rate, messages a second, when the memory that stamps take is reckoned.
const FASTEST: f64 = 60_000.0;

/// The most sampled messages of a level: their stamps take some 100 MB of the log store.
const MOST_SAMPLES: f64 = 1e6;

/// 1 in how many messages a sweep samples.
/// Fails where `auto` is asked of a pipeline whose services have been started with their own N.
pub(super) fn resolve(
    asked: Every,
    is_private: bool,
    levels: &[Setting],
    duration: Duration,
) -> Result<SampleEvery, UsageError> {
    let chosen = match asked {
        Every::One(every) => return Ok(every),
        Every::Auto if !is_private => {
            let why = "--every auto is for the private local pipeline: here, give the N that the services have (driver services)";
            return Err(UsageError(why.to_owned()));
        }
        Every::Auto => {
            let highest = levels.iter().filter_map(|setting| setting.rate).reduce(f64::max);
            choose(highest, duration.as_secs_f64())
        }
    };
    Ok(SampleEvery::new(chosen).unwrap_or_default())
}

fn choose(highest_rate: Option<f64>, seconds: f64) -> u64 {
    let for_processor = highest_rate.map_or(CLOSED_LOOP, |rate| round_up(rate / STAMPED_PER_SEC).min(CLOSED_LOOP));
    for_processor.max(round_up(highest_rate.unwrap_or(FASTEST) * seconds / MOST_SAMPLES))
}

/// The next of 1, 2, 5, 10, 20, 50, …
fn round_up(least: f64) -> u64 {
    let mut power = 1;
    loop {
        if let Some(found) = [1, 2, 5].into_iter().map(|digit| digit * power).find(|&n| n as f64 >= least) {
            return found;
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_cost_one_per_cent() {
        assert_eq!(choose(None, 10.0), 10);
        assert_eq!(choose(None, 3600.0), 500);
        assert_eq!(choose(Some(1000.0), 10.0), 1);
        assert_eq!(choose(Some(5000.0), 10.0), 2);
        assert_eq!(choose(Some(50_000.0), 10.0), 10);
        assert_eq!((round_up(0.1), round_up(3.0), round_up(11.0), round_up(200.0)), (1, 5, 20, 200));
    }
}
