//! Does the harm, and waits until the pipeline has recovered from it.

use crate::chaos::{Fault, Faults, Harm};
use anyhow::Context;
use stack::{Part, Signal, Stack};
use stamp::{Counts, LogStore, RedisUrl, RunId, Stage, clock};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long the pipeline may take until messages arrive again.
const RECOVERS_WITHIN: Duration = Duration::from_secs(60);

/// How often the arrivals are looked at.
const PERIOD: Duration = Duration::from_millis(50);

/// How often services write their counts.
const COUNTS_WRITTEN: Duration = Duration::from_millis(100);

/// How long the log store may take to tell how many have arrived.
const TELLS_WITHIN: Duration = Duration::from_secs(2);

/// How far faults go on.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    /// No fault begins after this moment.
    pub(crate) end: Instant,
    /// Faults at most.
    pub(crate) faults: Option<u64>,
    /// No fault begins once this is cancelled, and one under way is brought to its end.
    pub(crate) stop: CancellationToken,
}

/// How the pipeline came back from a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recovery {
    /// When the fault began.
    pub(crate) begin: Instant,
    /// The time from then until a message arrived again.
    pub(crate) took: Duration,
    /// Duplicates so far.
    pub(crate) duplicates: u64,
}

/// The stack, and what has been done to it.
#[derive(Debug)]
pub(crate) struct Harness {
    pub(crate) stack: Stack,
    pub(crate) redis: RedisUrl,
    pub(crate) run: RunId,
    /// Kills and stops by part.
    pub(crate) done: BTreeMap<String, (u32, u32)>,
}

impl Harness {
    /// Does one fault after another. Each begins when the pipeline has recovered from the one before: two at a time may lose
    /// what only the broker has, as it acknowledges before it saves.
    ///
    /// # Errors
    /// When a part does not come back, or no message arrives any more.
    pub(crate) async fn harm(
        &mut self,
        faults: Faults,
        course: Course,
        mut tell: impl FnMut(&Fault, &Recovery),
    ) -> anyhow::Result<()> {
        let most = course.faults.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        for fault in faults.take(most) {
            let stopped = course.stop.run_until_cancelled(sleep(fault.peace)).await.is_none();
            if stopped || clock::now() >= course.end {
                return Ok(());
            }
            let begin = clock::now();
            self.inflict(fault, &course.stop).await?;
            let recovered = timeout(RECOVERS_WITHIN, self.arrivals_move()).await;
            let duplicates = recovered.with_context(|| {
                let logs: Vec<String> = Part::all().iter().map(|part| self.tail(*part)).collect();
                format!(
                    "{} s after {fault:?} nothing arrives any more:\n{}",
                    RECOVERS_WITHIN.as_secs(),
                    logs.join("\n")
                )
            })?;
            tell(&fault, &Recovery { begin, took: clock::now().duration_since(begin), duplicates });
        }
        Ok(())
    }

    async fn inflict(&mut self, fault: Fault, stop: &CancellationToken) -> anyhow::Result<()> {
        let (kills, stops) = self.done.entry(fault.part.to_string()).or_default();
        match fault.harm {
            Harm::Kill => {
                *kills += 1;
                self.stack.kill(fault.part);
                self.stack.restart(fault.part).await?;
            }
            Harm::Stop(time) => {
                *stops += 1;
                self.stack.signal(fault.part, Signal::STOP);
                stop.run_until_cancelled(sleep(time)).await;
                self.stack.signal(fault.part, Signal::CONT);
            }
        }
        Ok(())
    }

    /// Waits until a message arrives. The log store may be what has just come back: each look is on a connection of its own.
    /// Gives the duplicates so far.
    async fn arrivals_move(&self) -> u64 {
        // Services write their counts every 100 ms: by then those of arrivals before the fault are written.
        sleep(2 * COUNTS_WRITTEN).await;
        let mut first = None;
        loop {
            if let Ok(Ok(counts)) = timeout(TELLS_WITHIN, self.counts()).await {
                let arrived = counts.get(Stage::MQTTCLIENT.as_str());
                if *first.get_or_insert(arrived) != arrived {
                    return counts.get("duplicates");
                }
            }
            sleep(PERIOD).await;
        }
    }

    async fn counts(&self) -> anyhow::Result<Counts> {
        Ok(LogStore::connect(&self.redis).await?.counts(&self.run).await?)
    }

    /// The end of a part's log.
    pub(crate) fn tail(&self, part: Part) -> String {
        let log = self.stack.log(part);
        let lines: Vec<&str> = log.lines().collect();
        format!("{part}:\n  {}", lines[lines.len().saturating_sub(8)..].join("\n  "))
    }
}
