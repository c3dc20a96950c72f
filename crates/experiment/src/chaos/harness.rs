//! Does the harm, and waits until the pipeline has recovered from it.

use super::ChaosError;
use super::faults::{Fault, Faults, Harm, Harmed};
use stack::{Part, Signal, Stack, StackError};
use stamp::{Counts, LogStore, RedisUrl, RunId, Stage, StoreError, clock};
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
pub struct Course {
    /// No fault begins after this moment.
    pub end: Instant,
    /// Faults at most.
    pub faults: Option<u64>,
    /// No fault begins once this is cancelled, and one under way is brought to its end.
    pub stop: CancellationToken,
}

/// How the pipeline came back from a fault.
#[derive(Debug, Clone, Copy)]
pub struct Recovery {
    /// When the fault began.
    pub begin: Instant,
    /// The time from then until a message arrived again.
    pub took: Duration,
    /// Duplicates so far.
    pub duplicates: u64,
}

/// The stack, and what has been done to it.
#[derive(Debug)]
pub struct Harness {
    /// The pipeline.
    pub stack: Stack,
    /// Its log store.
    pub redis: RedisUrl,
    /// The run of the load.
    pub run: RunId,
    /// What each part has suffered.
    pub done: BTreeMap<String, Harmed>,
}

impl Harness {
    /// Does one fault after another. Each begins when the pipeline has recovered from the one before: two at a time may lose
    /// what only the broker has, as it acknowledges before it saves.
    ///
    /// # Errors
    /// When a part does not come back, or no message arrives any more.
    pub async fn harm(
        &mut self,
        faults: Faults,
        course: Course,
        mut tell: impl FnMut(&Fault, &Recovery),
    ) -> Result<(), ChaosError> {
        let most = course.faults.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        for fault in faults.take(most) {
            let stopped = course.stop.run_until_cancelled(sleep(fault.peace)).await.is_none();
            if stopped || clock::now() >= course.end {
                return Ok(());
            }
            let begin = clock::now();
            self.inflict(fault, &course.stop).await?;
            let recovered = timeout(RECOVERS_WITHIN, self.arrivals_move()).await;
            let duplicates = recovered.unwrap_or_else(|_| {
                let logs = Part::all().iter().map(|part| self.tail(*part)).collect::<Vec<_>>().join("\n");
                Err(ChaosError::NothingArrives {
                    seconds: RECOVERS_WITHIN.as_secs(),
                    fault: format!("{fault:?}"),
                    logs,
                })
            })?;
            tell(&fault, &Recovery { begin, took: clock::now().duration_since(begin), duplicates });
        }
        Ok(())
    }

    async fn inflict(&mut self, fault: Fault, stop: &CancellationToken) -> Result<(), StackError> {
        self.done.entry(fault.part.to_string()).or_default().note(fault.harm);
        match fault.harm {
            Harm::Kill => {
                self.stack.kill(fault.part);
                self.stack.restart(fault.part).await?;
            }
            Harm::Stop(time) => {
                self.stack.signal(fault.part, Signal::STOP);
                stop.run_until_cancelled(sleep(time)).await;
                self.stack.signal(fault.part, Signal::CONT);
            }
            Harm::Failover { how, backlog } => {
                if !backlog.is_zero() {
                    self.stack.signal(Part::Pushserver, Signal::STOP);
                    stop.run_until_cancelled(sleep(backlog)).await;
                    self.stack.signal(Part::Pushserver, Signal::CONT);
                }
                self.stack.fail_over(how).await?;
            }
        }
        Ok(())
    }

    /// Waits until a message arrives. The log store may be what has just come back: each look is on a connection of its own.
    /// Gives the duplicates so far.
    /// Fails when a part has ended that nobody has harmed.
    async fn arrivals_move(&mut self) -> Result<u64, ChaosError> {
        // Services write their counts every 100 ms: by then those of arrivals before the fault are written.
        sleep(2 * COUNTS_WRITTEN).await;
        let mut first = None;
        loop {
            if let Ok(Ok(counts)) = timeout(TELLS_WITHIN, self.counts()).await {
                let arrived = counts.get(Stage::MQTTCLIENT.as_str());
                if *first.get_or_insert(arrived) != arrived {
                    return Ok(counts.get("duplicates"));
                }
            }
            self.stack.ended()?;
            sleep(PERIOD).await;
        }
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        LogStore::connect(&self.redis).await?.counts(&self.run).await
    }

    /// The end of a part's log.
    pub fn tail(&self, part: Part) -> String {
        let log = self.stack.log(part);
        let lines: Vec<&str> = log.lines().collect();
        format!("{part}:\n  {}", lines[lines.len().saturating_sub(8)..].join("\n  "))
    }
}
