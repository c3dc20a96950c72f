//! Sends one level after the other: its messages as traces, in batches, and its latencies as histograms.

use crate::answer::{Foreign, partial_success};
use crate::budget::Budget;
use crate::hop::Destinations;
use crate::metrics;
use crate::sender::{Collector, METRICS, Outcome, TRACES};
use crate::services::Services;
use crate::spans::{Batch, Pattern};
use analysis::{Level, Stamps, StampsError, TracedMessages};
use load::{Line, Reply, Target, Trust};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
use prost::Message;
use stamp::{Stage, counted};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// Messages in one request: some 2,000 spans, or half a megabyte before it is compressed.
const BATCH: usize = 256;

/// How long a collector is tried that took nothing at the level before.
const TIRED: Duration = Duration::from_millis(500);

/// Tells people what happens.
pub(crate) type Note = fn(&str);

/// Where traces are sent, and how.
#[derive(Debug, Clone)]
pub struct OtlpOptions {
    /// The collector's address, to which `/v1/traces` and `/v1/metrics` are added.
    pub collector: Target,
    /// What requests bring beside: a login, for example. Never told.
    pub headers: Vec<(String, String)>,
    /// Whose certificate is trusted.
    pub trust: Trust,
    /// The Redis list or stream that is the queue; absent where nobody knows.
    pub queue: Option<String>,
    /// The MQTT topic.
    pub topic: String,
    /// How long one level's traces may take.
    pub within: Duration,
}

/// What has been sent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Messages.
    pub messages: u64,
    /// Their spans.
    pub spans: u64,
    /// Messages that the collector has not taken.
    pub unsent: u64,
    /// Spans that it has refused.
    pub rejected: u64,
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, spans, unsent, rejected } = self;
        write!(f, "--otlp: {} sent as {}", counted(messages, "message"), counted(spans, "span"))?;
        if *unsent > 0 {
            write!(f, "; messages not sent: {unsent}")?;
        }
        if *rejected > 0 {
            write!(f, "; spans refused: {rejected}")?;
        }
        Ok(())
    }
}

/// Sends traces.
#[derive(Debug)]
pub struct Exporter {
    traces: Target,
    metrics: Target,
    collector: Collector,
    destinations: Destinations,
    within: Duration,
    note: Note,
    /// The collector did not answer the last time.
    tired: bool,
    /// It has been told that its answers are none of OTLP.
    foreign: bool,
    /// Messages in one request: fewer where it has found them too large.
    batch: usize,
    sent: Sent,
    /// Messages of the level under way that have not been sent yet.
    left: usize,
}

/// The address cannot be added to.
#[derive(Debug, thiserror::Error)]
#[error("--otlp {0}: give the collector's base address, without a query: /v1/traces is added to it")]
pub struct InvalidCollector(Target);

impl Exporter {
    /// An exporter; what goes wrong meanwhile is told by `note`.
    ///
    /// # Errors
    /// When the address is none that paths can be added to.
    pub fn new(options: OtlpOptions, note: Note) -> Result<Self, InvalidCollector> {
        let OtlpOptions { collector, headers, trust, queue, topic, within } = options;
        let signal = |path: &str| collector.beneath(path).ok_or_else(|| InvalidCollector(collector.clone()));
        Ok(Self {
            traces: signal(TRACES)?,
            metrics: signal(METRICS)?,
            collector: Collector { trust, headers, line: Line::default() },
            destinations: Destinations { queue, topic },
            within,
            note,
            tired: false,
            foreign: false,
            batch: BATCH,
            sent: Sent::default(),
            left: 0,
        })
    }

    /// What has been sent so far.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// Sends the messages of a level that has been measured, and its histograms. A collector that does not take them is told, and is no error.
    ///
    /// # Errors
    /// When the stamps cannot be read.
    pub async fn level(
        &mut self,
        stamps: &mut Stamps,
        level: &Level,
        path: &[Stage],
        services: &Services,
    ) -> Result<(), StampsError> {
        let run = &level.load.run;
        let messages = TracedMessages::read(stamps, run, path).await?;
        let pattern = Pattern::new(run, path, services, &self.destinations);
        let mut budget = Budget::of(self.within);
        if self.tired {
            budget = budget.with_patience(TIRED);
        }
        self.left = messages.len();
        let sent = self.traces(&messages, &pattern, &mut budget).await;
        let unsent = self.abandon();
        if let Err(why) = sent {
            let of = messages.len();
            (self.note)(&format!("--otlp: {why}; {unsent} of {} of {run} not sent as traces", counted(of, "message")));
            return Ok(());
        }
        let position = level.load.position().map_or_else(String::new, |position| position.to_string());
        self.histograms(level, &position, messages.span_us(), &mut budget).await;
        Ok(())
    }

    /// Books what is left of a level as not sent, and says how many messages that is: also where sending was given up in the middle.
    pub(crate) fn abandon(&mut self) -> usize {
        let left = std::mem::take(&mut self.left);
        self.sent.unsent += left as u64;
        left
    }

    /// Sends all messages; or says why not all.
    async fn traces(
        &mut self,
        messages: &TracedMessages,
        pattern: &Pattern,
        budget: &mut Budget,
    ) -> Result<(), String> {
        let mut next = 0;
        let mut too_large = false;
        while next < messages.len() {
            let rows = next..(next + self.batch).min(messages.len());
            let batch = batch(messages, pattern, rows.clone());
            let (count, spans) = (batch.messages, batch.spans);
            match self.collector.send(&self.traces, &batch.request().encode_to_vec(), budget).await {
                Outcome::Taken(answer) => {
                    self.tired = false;
                    self.left -= count;
                    self.sent.messages += count as u64;
                    self.sent.spans += spans as u64;
                    if let Some(partial) = self.partial_success(&answer) {
                        self.sent.rejected += u64::try_from(partial.rejected_spans).unwrap_or(0);
                        self.note_partial(&partial, "spans");
                    }
                }
                Outcome::TooLarge if count > 1 => {
                    self.batch = count.div_ceil(2);
                    continue;
                }
                Outcome::TooLarge => too_large = true,
                Outcome::Refused(why) => return Err(why),
                Outcome::Away(why) => {
                    self.tired = true;
                    return Err(why);
                }
            }
            next = rows.end;
        }
        if too_large { Err(format!("{} answers 413: even one message is too large", self.traces)) } else { Ok(()) }
    }

    /// What the collector says that it has not taken of a request. An answer that is none is told once.
    fn partial_success(&mut self, answer: &Reply) -> Option<ExportTracePartialSuccess> {
        partial_success(answer).unwrap_or_else(|Foreign| {
            if !std::mem::replace(&mut self.foreign, true) {
                let told = "is no answer of OTLP: what was sent counts as taken; is this the address of a collector?";
                (self.note)(&format!("--otlp: what {} says with its {} {told}", self.traces, answer.status));
            }
            None
        })
    }

    fn note_partial(&self, partial: &ExportTracePartialSuccess, what: &str) {
        let ExportTracePartialSuccess { rejected_spans: rejected, error_message } = partial;
        let (rejected, message) = (*rejected, self.collector.masked(&self.traces, error_message));
        if rejected > 0 {
            (self.note)(&format!("--otlp: the collector has refused {rejected} {what}: {message}"));
        } else if !message.is_empty() {
            (self.note)(&format!("--otlp: the collector says: {message}"));
        }
    }

    async fn histograms(&mut self, level: &Level, position: &str, stamped: (i64, i64), budget: &mut Budget) {
        let request = metrics::request(level, position, stamped).encode_to_vec();
        match self.collector.send(&self.metrics, &request, budget).await {
            Outcome::Taken(answer) => {
                if let Some(partial) = self.partial_success(&answer) {
                    self.note_partial(&partial, "histograms");
                }
            }
            Outcome::TooLarge => (self.note)("--otlp: the histograms of a level are larger than the collector takes"),
            // A collector for traces alone has no such path.
            Outcome::Refused(why) | Outcome::Away(why) => {
                (self.note)(&format!("--otlp: no histograms were sent: {why}"));
            }
        }
    }
}

fn batch(messages: &TracedMessages, pattern: &Pattern, rows: Range<usize>) -> Batch {
    let mut batch = Batch::new();
    for message in messages.range(rows) {
        batch.add(pattern.spans(message));
    }
    batch
}
