//! The books of every level: what became of each message, and what the stamps of the sampled ones suffered.

use super::table::{Cell, Column, Table, Tag};
use super::usage::name_cell;
use analysis::number::grouped;
use analysis::{Accounting, Level, Report};
use stamp::Stage;

/// Exact counts of all messages, and whether they add up.
pub(super) fn table(report: &Report) -> Table {
    let columns = vec![
        Column::words("level", ""),
        Column::of("accepted", "messages that the load generator got a 2xx for"),
        Column::of("+\u{a0}unanswered", "messages that the queue got without a 2xx"),
        Column::of("=\u{a0}arrived", "by the cut-off, duplicates apart"),
        Column::of("+\u{a0}late", "after the cut-off"),
        Column::of("+\u{a0}in\u{a0}flight", "still on their way at the cut-off"),
        Column::of("+\u{a0}lost", "the rest, by the hop that lost them"),
        Column::words("balance", "whether the figures add up, and the losses by hop as well"),
        Column::of("duplicates", "arrivals of messages that had arrived before"),
        Column::of("refused", "because the queue was full; in no other figure"),
        Column::of("failed", "requests that got no 2xx, by kind"),
    ];
    let mut table = Table::new("books", "What became of every message, level by level", columns);
    for (index, level) in report.levels.iter().enumerate() {
        table.push(Some(index), row(report, level));
    }
    table
}

fn row(report: &Report, level: &Level) -> Vec<Cell> {
    let books = &level.books;
    vec![
        name_cell(report, level),
        Cell::count(books.accepted),
        Cell::count(books.unanswered),
        Cell::count(books.arrived),
        Cell::count(books.late).bad_unless_zero(),
        Cell::count(books.in_flight).bad_unless_zero(),
        Cell::balance(books.lost).bad_unless_zero().note(by_hop(&books.lost_by_hop)),
        balance(books),
        Cell::count(books.duplicates).bad_unless_zero(),
        Cell::count(books.shed).bad_unless_zero(),
        failed(level),
    ]
}

/// Those that are not zero: `3 to pushserver, 8 to mqttclient`.
fn by_hop(lost: &[(Stage, i64)]) -> String {
    let told = lost.iter().filter(|(_, count)| *count != 0);
    told.map(|(stage, count)| format!("{} to {stage}", grouped(*count as f64, 0))).collect::<Vec<_>>().join(", ")
}

fn balance(books: &Accounting) -> Cell {
    let found = i128::from(books.arrived + books.late + books.in_flight) + i128::from(books.lost);
    let off = i128::from(books.accepted + books.unanswered) - found;
    let sorted = |value: f64, tag| Cell { sort: Some(value), tags: vec![tag], ..Cell::default() };
    if books.is_balanced() {
        sorted(0.0, Tag::good("✓ balanced"))
    } else if off == 0 {
        sorted(1.0, Tag::bad("losses by hop differ"))
    } else {
        sorted(off.unsigned_abs() as f64, Tag::bad(&format!("off by {}", grouped(off as f64, 0))))
    }
}

fn failed(level: &Level) -> Cell {
    let Some(http) = &level.load.http else { return Cell::absent() };
    let kinds: Vec<String> =
        http.errors.iter().map(|(kind, count)| format!("{kind}: {}", grouped(*count as f64, 0))).collect();
    Cell::count(http.failed()).bad_unless_zero().note(kinds.join(", "))
}

/// What the sampled messages and their stamps suffered.
pub(super) fn traces(report: &Report) -> Table {
    let columns = vec![
        Column::words("level", ""),
        Column::of("sampled", "messages stamped where arrival latency begins"),
        Column::of("complete", "those of them with a stamp of every stage"),
        Column::of("incomplete", "messages that lack the stamp of a stage, by that stage, although a later one has it"),
        Column::of("unfinished", "messages that began and have no stamp of the last stage"),
        Column::of("reordered", "messages that overtook one taken in before them"),
        Column::of("late", "sampled messages that arrived after the cut-off; in no latency"),
        Column::of("below zero", "differences between stages, kept as they are"),
        Column::of("beyond error", "those of them that the errors of both stamps do not explain"),
        Column::of("repeated", "stamps of one message at one stage beyond the first"),
        Column::of("across steps", "messages on their way while the log store's clock was set; in no latency"),
        Column::of("unreadable", "entries of the log store that are no stamps"),
        Column::of("dropped", "stamps that did not fit their writers' buffers"),
    ];
    let mut table =
        Table::new("traces", "What the sampled messages and their stamps suffered, level by level", columns);
    for (index, level) in report.levels.iter().enumerate() {
        let traces = &level.traces;
        let missing: u64 = traces.missing.iter().map(|(_, count)| count).sum();
        let by_stage: Vec<String> = traces
            .missing
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(stage, count)| format!("{stage}: {count}"))
            .collect();
        table.push(
            Some(index),
            vec![
                name_cell(report, level),
                Cell::count(traces.sampled),
                Cell::count(traces.complete),
                Cell::count(missing).bad_unless_zero().note(by_stage.join(", ")),
                Cell::count(traces.unfinished),
                Cell::count(traces.reordered),
                Cell::count(traces.late),
                Cell::count(traces.negative),
                Cell::count(traces.beyond_error).bad_unless_zero(),
                Cell::count(traces.repeated_stamps),
                Cell::count(traces.across_steps).bad_unless_zero(),
                Cell::count(traces.unreadable).bad_unless_zero(),
                Cell::count(traces.stamps_dropped).bad_unless_zero(),
            ],
        );
    }
    table
}
