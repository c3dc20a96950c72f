//! From the stamps and counters of one load to one level of a report.

mod answers;
mod causality;
mod hops;
mod latency;
mod little;
mod order;
mod stability;
mod steps;
mod tail;
mod timeline;
#[cfg(test)]
mod truth;

use crate::join::Join;
use crate::{Accounting, Histograms, Level, Load, StampQuality, Stamps, StampsError, Sweep, Traces};
pub(crate) use answers::of as answers;
use order::Order;
use stamp::{Counts, RunId, Stage, Stamp};
use std::pin::Pin;

/// Reads the stamps and counts of a load's run and computes the level; what the stamps are worth goes into `quality`. `stage_read` is called each time
/// that all stamps of a stage have been read. Boxed, so that it is compiled here, however its caller is.
///
/// # Errors
/// When the log store fails, or the file is cut off or damaged.
pub fn measure<'a>(
    stamps: &'a mut Stamps,
    load: &'a Load,
    sweep: &'a Sweep,
    quality: &'a mut StampQuality,
    stage_read: &'a (dyn Fn() + Sync),
) -> Pin<Box<dyn Future<Output = Result<Level, StampsError>> + Send + 'a>> {
    Box::pin(async move {
        let answers = answers(&sweep.path);
        let stages: Vec<&Stage> = sweep.path.iter().chain(answers.iter().map(|(_, answer)| answer)).collect();
        let on_path = sweep.path.len();
        let mut join = Join::new(stages.len());
        let take = |index: usize, stamp: &Stamp, entry: &[u8]| {
            join.take(index, stamp, entry);
            if index < on_path {
                quality.add(index, stamp);
            }
        };
        let read = |index: usize| {
            if index < on_path {
                stage_read();
            }
        };
        let unreadable = read_stamps(stamps, &load.run, &stages, take, read).await?;
        let counts = stamps.counts(&load.run).await?;
        for (index, stage) in sweep.path.iter().enumerate() {
            quality.add_dropped(index, counts.get(&format!("dropped.{stage}")));
        }
        Ok(level(load, sweep, &join, unreadable, &counts))
    })
}

/// Hands every stamp of these stages' lists to `take`, with the stage's index and the entry; `stage_read` is called behind each list. Gives how many
/// entries are no stamps.
pub(crate) async fn read_stamps(
    stamps: &mut Stamps,
    run: &RunId,
    stages: &[&Stage],
    mut take: impl FnMut(usize, &Stamp, &[u8]),
    stage_read: impl Fn(usize),
) -> Result<u64, StampsError> {
    let mut unreadable = 0;
    let take = |index: usize, entry: &[u8]| match Stamp::parse(entry) {
        Ok(stamp) => take(index, &stamp, entry),
        Err(_) => unreadable += 1,
    };
    stamps.lists(run, stages, take, stage_read).await?;
    Ok(unreadable)
}

/// What all parts of a level are computed from.
#[derive(Clone, Copy)]
pub(crate) struct Evidence<'a> {
    pub load: &'a Load,
    pub path: &'a [Stage],
    /// 1 message in so many is sampled. Where nobody knows, a message stands for itself.
    pub every: u64,
    pub join: &'a Join,
    pub books: &'a Accounting,
    /// The messages in the order in which they were taken in.
    pub order: &'a Order,
    /// From the first request to the last answer, µs on the log store's clock; as far as the stamps tell, where nobody told.
    pub span_us: (i64, i64),
    /// When it was given up to wait for messages, µs: who had not arrived then was under way. Absent where all had.
    pub cutoff_us: Option<i64>,
}

impl Evidence<'_> {
    /// The stage where arrival latency begins.
    pub(crate) fn first(&self) -> usize {
        arrival_begins(self.path)
    }

    /// The stage where it ends.
    pub(crate) fn last(&self) -> usize {
        self.path.len() - 1
    }

    /// When a message arrived, or [`crate::join::MISSING`]: after the cut-off is not at all.
    pub(crate) fn arrival(&self, row: usize) -> i64 {
        let time = self.join.time(self.last(), row);
        if self.cutoff_us.is_some_and(|cutoff| time > cutoff) { crate::join::MISSING } else { time }
    }

    /// How long the load lasted, seconds.
    pub(crate) fn seconds(&self) -> f64 {
        ((self.span_us.1 - self.span_us.0) as f64 / 1e6).max(1e-6)
    }
}

fn carried_us(evidence: &Evidence<'_>) -> u64 {
    let (begin, end) = evidence.span_us;
    // What is missing lies before all times.
    let last_arrival = evidence.order.iter().map(|(_, row)| evidence.arrival(row)).max().unwrap_or(end);
    u64::try_from(last_arrival.max(end) - begin).unwrap_or(0)
}

/// The index of the stage where arrival latency begins: where the pipeline does, after the load generator's own stage.
pub fn arrival_begins(path: &[Stage]) -> usize {
    usize::from(path[0] == Stage::SEND && path.len() > 2)
}

/// A level of a load that nobody has traced: it knows what the load generator does.
pub fn untraced(load: &Load, sweep: &Sweep) -> Level {
    level(load, sweep, &Join::new(sweep.path.len()), 0, &Counts::default())
}

pub(crate) fn level(load: &Load, sweep: &Sweep, join: &Join, unreadable: u64, counts: &Counts) -> Level {
    let path = &sweep.path[..];
    let books = Accounting::new(load, path, counts);
    let order = Order::new(join, arrival_begins(path));
    let span_us = load.span_us.unwrap_or_else(|| order.span_us());
    // Where the books say that all has arrived, a trace without an end has lost a stamp and no message.
    let all_arrived = books.lost <= 0 && books.in_flight == 0 && books.late == 0;
    let last_seen = || (0..path.len()).flat_map(|stage| join.times(stage)).max();
    let cutoff_us = load.cutoff.as_ref().map(|cutoff| cutoff.at_us).or_else(last_seen).filter(|_| !all_arrived);
    let evidence = Evidence {
        load,
        path,
        every: sweep.every.unwrap_or(1),
        join,
        books: &books,
        order: &order,
        span_us,
        cutoff_us,
    };
    let (first, last) = (evidence.first(), evidence.last());

    let mut negative = latency::Negative::default();
    let mut histograms = Histograms::default();
    // Each latency is sorted by itself, so that two processors take half the time.
    let (hops, arrivals, arrival, user) = std::thread::scope(|scope| {
        let hops = scope.spawn(|| hops::all(&evidence));
        let (arrival, histogram, arrivals) = latency::between(&evidence, first, last, &mut negative);
        histograms.arrival = Some(histogram);
        let (user, histogram) = if first == 0 {
            (arrival.clone(), histograms.arrival.clone())
        } else {
            let (user, histogram, _) = latency::between(&evidence, 0, last, &mut negative);
            (user, Some(histogram))
        };
        histograms.user = histogram;
        let (hops, histograms_of_hops, negative_of_hops) =
            hops.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        histograms.hops = histograms_of_hops;
        negative.add(&negative_of_hops);
        (hops, arrivals, arrival, user)
    });
    let answers = answers::all(&evidence, &mut negative);
    let timeline = timeline::timeline(&evidence);
    let causality = causality::all(&evidence);
    // Where foreign clocks tell hops, nobody knows where the time goes.
    let tail = if causality.is_empty() { tail::tail(&evidence) } else { None };
    let stability = stability::judge(&evidence);
    let little = if causality.is_empty() { little::check(&evidence, &arrival, &hops) } else { Vec::new() };
    let traces = Traces {
        negative: negative.all,
        of_known_error: negative.of_known_error,
        beyond_error: negative.beyond_error,
        repeated_stamps: join.repeated(),
        unreadable,
        stamps_dropped: path.iter().map(|stage| counts.get(&format!("dropped.{stage}"))).sum(),
        ..order::traces(&evidence)
    };
    Level {
        arrival,
        user,
        hops,
        answers,
        causality,
        steps: steps::all(&evidence),
        traces,
        stability,
        little,
        tail,
        curve: latency::curve(&arrivals),
        timeline,
        histograms,
        carried_us: carried_us(&evidence),
        books,
        load: load.clone(),
    }
}
