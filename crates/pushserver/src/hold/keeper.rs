//! Keeps this process's leases, and takes over from those who let theirs run out.

use super::scripts::Scripts;
use super::{HoldError, Keys, Names};
use service::Backoff;
use stamp::{RedisUrl, Wait, clock};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::time::{interval, sleep};
use tracing::{info, warn};

/// How long a fence stands after its holder's end: far longer than a command of that holder may be on its way.
const FENCE_STANDS: Duration = Duration::from_secs(3600);

/// The one task of a process that beats for its workers and watches the others.
pub(crate) struct Keeper {
    pub(crate) url: RedisUrl,
    pub(crate) keys: Keys,
    pub(crate) names: Names,
    pub(crate) lease: Duration,
}

/// Since when a holder has had which score, as seen by this process: no clock of another machine matters.
type Seen = HashMap<String, (f64, Instant)>;

impl Keeper {
    /// Runs until it is dropped.
    pub(crate) async fn run(self) {
        let mut backoff = Backoff::default();
        loop {
            if let Err(error) = self.keep(&mut backoff).await
                && !backoff.is_waiting()
            {
                warn!("leases are not kept: {error}");
            }
            sleep(backoff.next_delay()).await;
        }
    }

    /// One connection's life. What was seen on an earlier one is forgotten: while Redis was away, nobody could beat.
    async fn keep(&self, backoff: &mut Backoff) -> anyhow::Result<()> {
        let mut connection = self.url.connect(Wait::BRIEFLY).await?;
        let scripts = Scripts::load(&mut connection).await?;
        let mut seen = Seen::new();
        let mut tick = interval(self.lease / 5);
        loop {
            tick.tick().await;
            let beat = self.names.change(|names| scripts.beat(&self.keys, names.iter()));
            let mut pipeline = redis::pipe();
            pipeline.add_command(beat).ignore();
            pipeline.cmd("ZRANGE").arg(&self.keys.holders).arg(0).arg(-1).arg("WITHSCORES");
            let (holders,): (Vec<(String, f64)>,) = pipeline.query_async(&mut connection).await?;
            backoff.reset();
            for (name, score) in silent(&mut seen, holders, clock::now(), self.lease) {
                self.take_over(&mut connection, &scripts, &name, score).await?;
            }
        }
    }

    async fn take_over(
        &self,
        connection: &mut redis::aio::MultiplexedConnection,
        scripts: &Scripts,
        name: &str,
        score: Option<f64>,
    ) -> Result<(), HoldError> {
        let moved: i64 = scripts.give_back(connection, &self.keys, name, score).await?;
        if moved > 0 {
            info!("took over {moved} messages that {name} held");
        }
        Ok(())
    }
}

/// Those whose score has stood still for a lease, with that score. A fenced one is looked at every time, as a command that was
/// on its way may have given it messages since; once its fence has stood for long enough it comes without a score, to be
/// forgotten.
fn silent(seen: &mut Seen, holders: Vec<(String, f64)>, now: Instant, lease: Duration) -> Vec<(String, Option<f64>)> {
    let mut before = std::mem::take(seen);
    let mut silent = Vec::new();
    for (name, score) in holders {
        let since = match before.remove(&name) {
            Some((last, since)) if last.total_cmp(&score).is_eq() => since,
            _ => now,
        };
        let still_for = now.duration_since(since);
        if score < 0.0 && still_for >= FENCE_STANDS {
            silent.push((name, None));
            continue;
        }
        if score < 0.0 || still_for >= lease {
            silent.push((name.clone(), Some(score)));
        }
        seen.insert(name, (score, since));
    }
    silent
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    #[test]
    fn who_stands_still_for_a_lease_is_silent_and_who_beats_is_not() {
        let (begin, mut seen) = (clock::now(), Seen::new());
        let mut look = |seconds, scores: &[(&str, f64)]| {
            let holders = holders(scores);
            silent(&mut seen, holders, begin + Duration::from_secs(seconds), LEASE)
        };
        assert_eq!(look(0, &[("a", 5.0), ("b", 5.0)]), []);
        assert_eq!(look(9, &[("a", 6.0), ("b", 5.0)]), []);
        assert_eq!(look(10, &[("a", 7.0), ("b", 5.0)]), [("b".to_owned(), Some(5.0))]);
        assert_eq!(look(11, &[("a", 8.0), ("b", -1.0)]), [("b".to_owned(), Some(-1.0))]);
        assert_eq!(look(20, &[("a", 8.0)]), []);
        assert_eq!(look(21, &[("a", 8.0)]), [("a".to_owned(), Some(8.0))]);
    }

    #[test]
    fn a_fence_stands_for_an_hour() {
        let (begin, mut seen) = (clock::now(), Seen::new());
        let mut look =
            |seconds| silent(&mut seen, holders(&[("a", -1.0)]), begin + Duration::from_secs(seconds), LEASE);
        assert_eq!(look(0), [("a".to_owned(), Some(-1.0))]);
        assert_eq!(look(3599), [("a".to_owned(), Some(-1.0))]);
        assert_eq!(look(3600), [("a".to_owned(), None)]);
    }

    fn holders(scores: &[(&str, f64)]) -> Vec<(String, f64)> {
        scores.iter().map(|(name, score)| ((*name).to_owned(), *score)).collect()
    }
}
