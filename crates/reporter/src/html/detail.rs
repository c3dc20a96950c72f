//! One level in detail: where its time goes hop by hop, what the slowest messages waited for, and what it cost.

use super::figure;
use super::name;
use super::table::{Cell, Column, Table, Tag};
use super::usage;
use analysis::arrival_begins;
use analysis::{Answer, CausalBound, ForeignLatency, Level, Report, Tail};
use stamp::Stage;

/// A level that unfolds.
#[derive(Debug)]
pub(super) struct Detail {
    /// Its place in the report.
    pub(super) index: usize,
    /// What it is called.
    pub(super) name: String,
    /// What stands beside its name.
    pub(super) summary: String,
    /// Marks.
    pub(super) tags: Vec<Tag>,
    /// Whether it is unfolded at first.
    pub(super) open: bool,
    /// Where the slowest messages spent their time; may be empty.
    pub(super) tail: String,
    /// Hop by hop.
    pub(super) hops: Table,
    /// Answers beside the path, where any is known.
    pub(super) answers: Option<Table>,
    /// CPU and memory, where anybody looked.
    pub(super) usage: Option<Table>,
}

/// Every level in detail.
pub(super) fn all(report: &Report) -> Vec<Detail> {
    let capacity = report.findings.capacity.as_ref().map(|capacity| capacity.position);
    // The one that the verdict speaks of, or else the highest.
    let told = report.levels.iter().position(|level| capacity.is_some() && level.load.position() == capacity);
    let open = told.or_else(|| report.levels.len().checked_sub(1));
    let detail = |(index, level): (usize, &Level)| Detail {
        index,
        name: name::level(report, level),
        summary: summary(level),
        tags: name::marks(level),
        open: Some(index) == open,
        tail: level.tail.as_ref().map_or_else(String::new, |tail| tail_sentence(report, level, tail)),
        hops: hops(report, index, level),
        answers: answers(report, index, level),
        usage: usage::table(index, level),
    };
    report.levels.iter().enumerate().map(detail).collect()
}

fn summary(level: &Level) -> String {
    let of = |name: &str, us: Option<i64>| us.map(|us| format!("{name} {} ms", figure::ms(us as f64)));
    let told = [of("p50", level.arrival.p50_us), of("p99", level.arrival.p99_us)];
    let told: Vec<String> = told.into_iter().flatten().collect();
    if told.is_empty() { "no arrival latency".to_owned() } else { format!("arrival {}", told.join(", ")) }
}

/// `Among the slowest 1 % … 78 % of the time is the wait between enqueue and pushserver`.
fn tail_sentence(report: &Report, level: &Level, tail: &Tail) -> String {
    let Some(most) = tail.hops.iter().max_by(|one, other| one.share.total_cmp(&other.share)) else {
        return String::new();
    };
    let end = report.path.iter().position(|stage| *stage == most.stage).unwrap_or(0);
    let begin = end.checked_sub(1).map_or("the beginning", |begin| report.path[begin].as_str());
    let queued = level.hops.iter().any(|hop| hop.stage == most.stage && hop.queued);
    format!(
        "Among the slowest {} ({}, each of {} ms or more), {} of the time is the {} between {begin} and {}; among all messages it is {}.",
        figure::percent(tail.slowest),
        figure::counted(usize::try_from(tail.messages).unwrap_or(usize::MAX), "sampled message"),
        figure::ms(tail.from_us as f64),
        figure::percent(most.share),
        if queued { "wait" } else { "way" },
        most.stage,
        figure::percent(most.share_of_all),
    )
}

fn hops(report: &Report, index: usize, level: &Level) -> Table {
    let slowest = level.tail.as_ref().map_or(0.01, |tail| tail.slowest);
    let columns = vec![
        Column::words("hop", "from one stage to the next"),
        Column::of("mean", "ms"),
        Column::of("p50", "ms"),
        Column::of("p99", "ms"),
        Column::of("service", "of the mean: the time of a message that has the hop to itself, ms"),
        Column::of("waiting", "of the mean: the rest, ms"),
        Column::of("share", "of mean arrival latency"),
        Column::of(format!("slowest {}", figure::percent(slowest)), "share of the time of the slowest messages"),
        Column::of("in flight at end", "messages on this hop when the load ended"),
        Column::of("counted", "all messages that passed the stage at its end, sampled or not"),
        Column::of("below zero", "latencies below zero, as the clocks told them"),
    ];
    let caption = format!("{}: hop by hop, latencies in ms", name::level(report, level));
    let mut table = Table::new(format!("hops-{index}"), caption, columns);
    let first = arrival_begins(&report.path);
    for (hop, measured) in level.hops.iter().enumerate() {
        let latency = &measured.latency;
        let of_arrival = hop >= first;
        let share = latency.mean_us.zip(level.arrival.mean_us).filter(|(_, all)| of_arrival && *all > 0.0);
        let slow = level.tail.as_ref().and_then(|tail| tail.hops.iter().find(|hop| hop.stage == measured.stage));
        let counted = level.books.passed.iter().find(|(stage, _)| *stage == measured.stage).map(|(_, count)| *count);
        let kind = match (of_arrival, measured.queued) {
            (false, _) => "before arrival latency begins",
            (true, true) => "queue",
            (true, false) => "service",
        };
        let known = level.causality.iter().find(|bound| bound.latency == ForeignLatency::Hop(measured.stage.clone()));
        let kind =
            known.map_or_else(|| kind.to_owned(), |bound| format!("{kind}; {}", causality(bound, latency.p50_us)));
        table.push(
            None,
            vec![
                Cell::text(name::hop(&report.path, hop + 1)).note(kind),
                Cell::ms(latency.mean_us),
                Cell::percentile((latency.p50_us, latency.ci95.p50)),
                Cell::percentile((latency.p99_us, latency.ci95.p99)),
                Cell::ms(measured.service_us),
                Cell::ms(measured.wait_us),
                Cell::part(share.map(|(hop, all)| hop / all)),
                Cell::part(slow.map(|hop| hop.share)),
                Cell::count(measured.in_flight_at_end),
                counted.map_or_else(Cell::absent, Cell::count),
                Cell::count(measured.negative),
            ],
        );
    }
    table
}

/// `foreign clocks: p50 lies between 0.30 and 0.68`.
fn causality(bound: &CausalBound, p50_us: Option<i64>) -> String {
    if bound.contradictory {
        return "foreign clocks that contradict each other".to_owned();
    }
    let Some((low, high)) = p50_us.map(|us| bound.range_us(us)) else { return "foreign clocks".to_owned() };
    let ms = |us: i64| figure::ms(us as f64);
    let known = match (low, high) {
        (Some(low), Some(high)) => format!("p50 lies between {} and {} ms", ms(low), ms(high)),
        (Some(low), None) => format!("p50 is at least {} ms", ms(low)),
        (None, Some(high)) => format!("p50 is at most {} ms", ms(high)),
        (None, None) => "nothing bounds it".to_owned(),
    };
    format!("foreign clocks: {known}")
}

/// The answers that no message waits for: of HTTP, as the load generator saw it, and those that were stamped.
fn answers(report: &Report, index: usize, level: &Level) -> Option<Table> {
    let columns = vec![
        Column::words("answer", "what is answered, and by whom"),
        Column::of("mean", "ms"),
        Column::of("p50", "ms"),
        Column::of("p99", "ms"),
        Column::of("counted", "answers that these figures are of"),
    ];
    let caption = format!("{}: answers beside the path, in no sum of it, in ms", name::level(report, level));
    let mut table = Table::new(format!("answers-{index}"), caption, columns);
    if let Some(http) = level.load.http.as_ref().filter(|http| http.accepted > 0) {
        let us = |us: Option<u64>| Cell::ms(us.map(|us| us as f64));
        table.push(
            None,
            vec![
                Cell::text("send → HTTP 2xx").note("the API server to the client"),
                Cell::ms(http.mean_us),
                us(http.p50_us),
                us(http.p99_us),
                Cell::count(http.accepted),
            ],
        );
    }
    for Answer { from, stage, latency } in &level.answers {
        let by = if *stage == Stage::ENQUEUED { "Redis to the API server" } else { "the broker to the push server" };
        table.push(
            None,
            vec![
                Cell::text(format!("{from} → {stage}")).note(by),
                Cell::ms(latency.mean_us),
                Cell::percentile((latency.p50_us, latency.ci95.p50)),
                Cell::percentile((latency.p99_us, latency.ci95.p99)),
                Cell::count(latency.count),
            ],
        );
    }
    (!table.rows.is_empty()).then_some(table)
}
