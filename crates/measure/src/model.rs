//! A level as data. docs/report.md describes it, field by field.

use crate::scenario::StepLoad;
use crate::{Accounting, Distribution, Load};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use stamp::Stage;

/// One level: what the load generator saw, and what the stamps tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// The load.
    pub load: Load,
    /// From the API server's stamp to the last stage's: the founding measure.
    pub arrival: Distribution,
    /// From the first stage's stamp, the intended send, to the last one's: what the user waits.
    pub user: Distribution,
    /// One for each stage but the first.
    pub hops: Vec<Hop>,
    /// Answers beside the path, in path order; empty where none was stamped.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// What is known of latencies between clocks that nobody has compared; empty where one clock tells all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causality: Vec<CausalBound>,
    /// Arrival latency of each traced step; empty where the load had none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepArrival>,
    /// What became of every message, sampled or not.
    pub books: Accounting,
    /// From the beginning of the load until its end or the last arrival by the cut-off, whichever came later, µs.
    pub carried_us: u64,
    /// What the sampled messages and their stamps suffered.
    pub traces: Traces,
    /// Whether the pipeline kept up with the load.
    pub stability: Stability,
    /// Whether messages in flight, rate and latency agree, as Little's law demands.
    pub little: Vec<LittleLaw>,
    /// Where the slowest messages spent their time; absent where too few arrived.
    pub tail: Option<Tail>,
    /// Arrival latency by percentile, rising.
    pub curve: Vec<CurvePoint>,
    /// Arrival latency over the time of the load.
    pub timeline: Timeline,
    /// The histograms behind it, for exports; not in `report.json`.
    #[serde(skip)]
    pub histograms: Histograms,
}

/// Histograms of latencies in µs, to three significant digits. What is below zero counts as zero in them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histograms {
    /// Of arrival latency.
    pub arrival: Option<Histogram<u64>>,
    /// How long those had lasted that had not arrived.
    pub under_way: Option<Histogram<u64>>,
    /// Of user latency.
    pub user: Option<Histogram<u64>>,
    /// Of each hop, in path order.
    pub hops: Vec<Histogram<u64>>,
}

/// The way from the stage before to this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// The stage at its end.
    pub stage: Stage,
    /// How long it took.
    pub latency: Distribution,
    /// Whether messages lie in a queue on this hop until somebody takes them.
    pub queued: bool,
    /// The time of a message that has the hop to itself, µs: the 10th percentile at the level of this sweep where that is least; 0 on a
    /// hop that is [`queued`](Self::queued). Absent where nothing was measured.
    pub service_us: Option<f64>,
    /// The rest of the mean, µs: time spent waiting.
    pub wait_us: Option<f64>,
    /// Messages on this hop when the load ended, by the stamps.
    pub in_flight_at_end: u64,
    /// Latencies below zero.
    pub negative: u64,
}

/// An answer that the message does not wait for: a side branch of its path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The stage of the path that is answered.
    pub from: Stage,
    /// The answer's own stage.
    pub stage: Stage,
    /// From the one to the other; in no sum of the path.
    pub latency: Distribution,
}

/// The bound that causality gives to a latency whose two ends are told by different clocks: no message passes a stage before the one ahead of it. The
/// true latency of each message is what was measured, plus something between the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CausalBound {
    /// Which latency.
    pub latency: ForeignLatency,
    /// The clocks that tell its ends.
    pub clocks: Vec<String>,
    /// To be added at least, µs; absent where nothing bounds it.
    pub low_us: Option<i64>,
    /// To be added at most, µs; absent where nothing bounds it.
    pub high_us: Option<i64>,
    /// The clocks contradict each other: one was set or ran away during the level, or messages do not pass the stages in this order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contradictory: bool,
}

/// A latency that foreign clocks tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignLatency {
    /// Arrival latency.
    Arrival,
    /// User latency.
    User,
    /// That of the hop that ends at this stage.
    Hop(Stage),
}

/// Arrival latency of the messages of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepArrival {
    /// The step.
    pub name: String,
    /// Its number: the bits of message ids above the sequence.
    pub number: u16,
    /// Sampled messages of it that were taken in.
    pub sampled: u64,
    /// From the API server's stamp to the last stage's.
    pub arrival: Distribution,
}

/// What the sampled messages and their stamps suffered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// Messages that were stamped at the stage where arrival latency begins.
    pub sampled: u64,
    /// Those of them that have a stamp of every stage.
    pub complete: u64,
    /// Messages that lack the stamp of a stage although they have one of a later stage, by the stage that is missing.
    pub missing: Vec<(Stage, u64)>,
    /// Messages that began to be measured and have no stamp of the last stage.
    pub unfinished: u64,
    /// Messages that overtook another one: they arrived earlier than one that had been taken in before them.
    pub reordered: u64,
    /// Sampled messages that arrived after the cut-off; they enter no latency.
    pub late: u64,
    /// Differences between neighbouring stages, or end to end, that are below zero: they are kept as they are.
    pub negative: u64,
    /// Differences of two stamps that both state their error, whatever their sign.
    #[serde(default)]
    pub of_known_error: u64,
    /// Those of them that lie below zero by more than both errors allow. As every stage is a moment on the message's way, this is impossible
    /// unless a clock is wrong: none is a proof of the clocks.
    pub beyond_error: u64,
    /// Stamps of one message at one stage beyond the first. They do not enter any latency.
    pub repeated_stamps: u64,
    /// Sampled messages that were on their way while the log store's clock was set: they enter no latency.
    pub across_steps: u64,
    /// Entries of the log store that are no stamps.
    pub unreadable: u64,
    /// Stamps that did not fit the buffers of their writers.
    pub stamps_dropped: u64,
}

/// Whether the pipeline kept up with the load.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stability {
    /// Why the level is unstable: its percentiles then tell of this duration alone, and a longer load gives higher ones. Absent where
    /// the pipeline kept up.
    pub unstable: Option<String>,
    /// By how many messages a second those in flight grew in the second half of the load.
    pub growth_per_sec: f64,
    /// The stage at the end of the hop where most of them gathered; absent where nothing grew.
    pub growing: Option<Stage>,
}

/// Little's law for one part of the system: messages in flight = rate × latency (J. D. C. Little, 1961).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LittleLaw {
    /// `http` (connections in use), `pipeline` (arrival) or `queue`.
    pub scope: String,
    /// Mean number in flight.
    pub in_flight: f64,
    /// Messages a second.
    pub rate_per_sec: f64,
    /// Mean latency, µs.
    pub latency_us: f64,
    /// In flight / (rate × latency): 1 where all is well.
    pub ratio: f64,
    /// Whether it is further from 1 than chance and the edges of the load explain.
    pub off: bool,
}

/// Where the slowest messages spent their time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Which part of the messages is meant: 0.01 for the slowest 1 %.
    pub slowest: f64,
    /// How many messages that is.
    pub messages: u64,
    /// The arrival latency that the fastest of them had, µs.
    pub from_us: i64,
    /// One for each hop of the arrival latency, in path order.
    pub hops: Vec<TailHop>,
}

/// One hop of the slowest messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TailHop {
    /// The stage at its end.
    pub stage: Stage,
    /// Its share of the time that the slowest messages took, 0 to 1; the shares of all hops add up to 1.
    pub share: f64,
    /// Its share of the time that all messages took.
    pub share_of_all: f64,
}

/// A point of the curve of latency by percentile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// From 0 to 1.
    pub quantile: f64,
    /// The latency there, µs.
    pub us: i64,
}

/// Arrival latency over the time of the load, in slices by the moment when messages were taken in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// How long a slice is, µs.
    pub slice_us: i64,
    /// From the beginning of the load on, without gaps.
    pub slices: Vec<Slice>,
}

/// The messages that were taken in during one slice of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Sampled messages taken in.
    pub entered: u64,
    /// Those of them that arrived and are measured.
    pub count: u64,
    /// Median of their arrival latency, µs.
    pub p50_us: Option<i64>,
    /// 99th percentile of it, µs: the longest where there are fewer than 100.
    pub p99_us: Option<i64>,
    /// The longest, µs.
    pub max_us: Option<i64>,
    /// Messages in flight at its end: sampled ones times N.
    pub in_flight: u64,
    /// How many took how long: bin *i* holds latencies from [`Timeline::bin_from_us`] of *i* to that of *i* + 1. Bins at the end that are
    /// empty are left out.
    pub bins: Vec<u32>,
}

impl Timeline {
    /// Bins for each power of ten.
    pub const BINS_PER_DECADE: u32 = 8;

    /// The shortest latency that falls into this bin, µs; the first one also holds what is shorter than 10 µs, negative latencies included.
    pub fn bin_from_us(bin: usize) -> f64 {
        10f64.powf(1.0 + bin as f64 / f64::from(Self::BINS_PER_DECADE))
    }

    /// The bin of a latency.
    pub fn bin_of(us: i64) -> usize {
        let place = ((us.max(10) as f64).log10() - 1.0) * f64::from(Self::BINS_PER_DECADE);
        // Of an i64, that is below 200.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let bin = (place + 1e-9) as usize;
        bin
    }
}

impl Level {
    /// Whether requests were sent and none was accepted: such a level tells nothing of the pipeline.
    pub fn accepted_nothing(&self) -> bool {
        self.books.accepted + self.books.arrived == 0 && self.load.http.as_ref().is_some_and(|http| http.accepted == 0)
    }

    /// Messages that arrived a second, from the beginning of the load until the last one had arrived: what the pipeline carried, however
    /// much it took in. Absent where none did.
    pub fn delivered_per_sec(&self) -> Option<f64> {
        (self.books.arrived > 0 && self.carried_us > 0)
            .then(|| self.books.arrived as f64 * 1e6 / self.carried_us as f64)
    }

    /// So many of something a second, by the time that the load lasted.
    pub fn per_sec(&self, count: u64) -> Option<f64> {
        let seconds = self.load.http.as_ref()?.duration_us as f64 / 1e6;
        (seconds > 0.0).then(|| count as f64 / seconds)
    }

    /// The steps of users, where these made the load.
    pub fn user_steps(&self) -> &[StepLoad] {
        self.load.scenario.as_ref().map_or(&[], |scenario| &scenario.steps)
    }

    /// The arrival latency of a step's messages, where they are traced.
    pub fn arrival_of(&self, step: &StepLoad) -> Option<&Distribution> {
        self.steps.iter().find(|arrival| arrival.number == step.number).map(|step| &step.arrival)
    }

    /// What the pipeline's parts spent for each accepted message, µs: neither the load generator, nor the host that they are parts of. Absent where
    /// nobody tells.
    pub fn cpu_us_per_message(&self) -> Option<f64> {
        let spent: Vec<u64> =
            self.load.usage.iter().filter(|usage| usage.is_pipeline()).map(|usage| usage.cpu_us).collect();
        let accepted = self.books.accepted;
        (!spent.is_empty() && accepted > 0).then(|| spent.iter().sum::<u64>() as f64 / accepted as f64)
    }

    /// Whether the pipeline carried this load: it kept up, lost and refused nothing, and its p99 of arrival latency is within the limit. Nobody
    /// knows where the sample is too small for a p99, or where a part of the load was not sent, as workers were lost.
    pub fn is_within(&self, p99_limit_us: u64) -> Option<bool> {
        let kept_up =
            self.stability.unstable.is_none() && self.books.lost <= 0 && self.books.in_flight + self.books.late == 0;
        let refused = self.load.http.as_ref().is_some_and(|http| http.failed() > 0);
        if !kept_up || refused {
            return Some(false);
        }
        if self.load.has_lost_workers() {
            return None;
        }
        let p99_us = self.arrival.p99_us?;
        let is_within = |us: i64| i128::from(us) <= i128::from(p99_limit_us);
        let Some(bound) = self.bound_of(&ForeignLatency::Arrival) else { return Some(is_within(p99_us)) };
        match bound.range_us(p99_us) {
            (_, Some(most)) if is_within(most) => Some(true),
            (Some(least), _) if !is_within(least) => Some(false),
            _ => None,
        }
    }

    /// The most that an arrival latency can be which was measured as this, µs: more than that where foreign clocks tell it, and causality bounds it.
    pub fn at_most_us(&self, measured_us: i64) -> i64 {
        let bound = self.bound_of(&ForeignLatency::Arrival);
        bound.and_then(|bound| bound.range_us(measured_us).1).unwrap_or(measured_us)
    }

    /// What is known of a latency whose ends different clocks tell; nothing where one does.
    pub fn bound_of(&self, latency: &ForeignLatency) -> Option<&CausalBound> {
        self.causality.iter().find(|bound| &bound.latency == latency)
    }

    /// Whether different clocks tell the ends of some hop: then nobody knows where the time goes.
    pub fn has_foreign_hops(&self) -> bool {
        self.causality.iter().any(|bound| matches!(bound.latency, ForeignLatency::Hop(_)))
    }
}

impl CausalBound {
    /// Between what and what a latency lies that was measured as this, µs: none is below zero.
    pub fn range_us(&self, measured_us: i64) -> (Option<i64>, Option<i64>) {
        (self.low_us.map(|low| (measured_us + low).max(0)), self.high_us.map(|high| (measured_us + high).max(0)))
    }

    /// How little is known: the width of that range, µs.
    pub fn width_us(&self) -> i64 {
        self.low_us.zip(self.high_us).map_or(i64::MAX, |(low, high)| high - low)
    }
}
