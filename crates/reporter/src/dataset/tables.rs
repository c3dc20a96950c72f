//! What a dataset has beside the stamps: a row for each level, and its counters.

use crate::columns::{Column, Values, table};
use analysis::{Accounting, Sweep, arrival_begins};
use parquet::errors::ParquetError;
use stamp::{Counts, Stage};
use std::fs::File;

/// Writes the counters of a run: those of its path in their order, and then all others by name.
pub(super) fn counts(file: File, path: &[Stage], counts: &Counts) -> Result<(), ParquetError> {
    let on_path =
        path.iter().enumerate().map(|(at, stage)| (stage.as_str(), Some(at as u64), counts.get(stage.as_str())));
    let others = counts.iter().filter(|(name, _)| !path.iter().any(|stage| stage.as_str() == *name));
    let rows: Vec<_> = on_path.chain(others.map(|(name, count)| (name, None, count))).collect();
    let columns = [
        Column::required("name", Values::Texts(rows.iter().map(|row| Some(row.0.to_owned())).collect())),
        Column::optional("position", Values::Integers(rows.iter().map(|row| row.1.map(number)).collect())),
        Column::required("messages", Values::Integers(rows.iter().map(|row| Some(number(row.2))).collect())),
    ];
    Ok(table(file, "counts", &columns)?.sync_all()?)
}

/// Writes the row of the level with this index.
pub(super) fn level(
    file: File,
    sweep: &Sweep,
    level: usize,
    counts: &Counts,
    unreadable: u64,
) -> Result<(), ParquetError> {
    let load = &sweep.loads[level];
    let books = Accounting::new(load, &sweep.path, counts);
    let text = |text: String| Values::Texts(vec![Some(text)]);
    let integer = |value: u64| Values::Integers(vec![Some(number(value))]);
    let perhaps = |value: Option<u64>| Values::Integers(vec![value.map(number)]);
    let time = |us: Option<i64>| Values::Times(vec![us]);
    let stages: Vec<&str> = sweep.path.iter().map(Stage::as_str).collect();
    let columns = [
        Column::required("sweep", text(sweep.id.to_string())),
        Column::required("level", integer(level as u64)),
        Column::required("started", time(Some(number(sweep.started_unix_s) * 1_000_000))),
        Column::optional("every", perhaps(sweep.every)),
        Column::required("path", text(stages.join(","))),
        Column::required("arrival_from", integer(arrival_begins(&sweep.path) as u64)),
        Column::optional("concurrency", perhaps(load.concurrency.map(u64::from))),
        Column::optional("rate", Values::Decimals(vec![load.rate])),
        Column::required("repeat", integer(load.repeat.into())),
        Column::optional("begun", time(load.span_us.map(|(begun, _)| begun))),
        Column::optional("ended", time(load.span_us.map(|(_, ended)| ended))),
        Column::optional("cutoff", time(load.cutoff.as_ref().map(|cutoff| cutoff.at_us))),
        Column::optional("interrupted_us", perhaps(load.interrupted_us)),
        Column::optional("generator_limited", Values::Texts(vec![load.generator_limited.clone()])),
        Column::optional("requests", perhaps(load.http.as_ref().map(|http| http.requests))),
        Column::required("accepted", integer(books.accepted)),
        Column::required("unanswered", integer(books.unanswered)),
        Column::required("arrived", integer(books.arrived)),
        Column::required("late", integer(books.late)),
        Column::required("in_flight", integer(books.in_flight)),
        Column::required("lost", Values::Integers(vec![Some(books.lost)])),
        Column::required("duplicates", integer(books.duplicates)),
        Column::required("shed", integer(books.shed)),
        Column::required("unreadable", integer(unreadable)),
    ];
    Ok(table(file, "levels", &columns)?.sync_all()?)
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
