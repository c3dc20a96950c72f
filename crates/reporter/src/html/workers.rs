//! The workers that made the loads: what each made of its share, and which was lost.

use super::table::{Cell, Column, Table, Tag};
use super::usage::name_cell;
use analysis::number::grouped;
use analysis::{Level, Report, WorkerLoad};

/// A row for each level and worker; absent where one generator made all.
pub(super) fn table(report: &Report) -> Option<Table> {
    if report.levels.iter().all(|level| level.load.workers.is_empty()) {
        return None;
    }
    let columns = vec![
        Column::words("level", ""),
        Column::of("worker", "its number: the highest 10 bits of its messages' ids"),
        Column::words("host", "where it ran, and its name in the registry of services"),
        Column::of("share", "of the load that was asked for"),
        Column::of("sent", "requests"),
        Column::of("accepted/s", "requests a second"),
        Column::of("failed", "requests that got no 2xx"),
        Column::of("send delay p99", "from the intended send to the actual one, ms"),
        Column::of("began late by", "after the moment that all had agreed on, ms"),
        Column::of("of one core", "what its thread took"),
        Column::of("clock error", "the bound, ms"),
    ];
    let mut table = Table::new("workers", "What each worker made of its share, level by level", columns);
    for (index, level) in report.levels.iter().enumerate() {
        for worker in &level.load.workers {
            table.push(Some(index), row(report, level, worker));
        }
    }
    Some(table)
}

fn row(report: &Report, level: &Level, worker: &WorkerLoad) -> Vec<Cell> {
    let lost = worker.lost_us.map(|us| Tag::bad(&format!("lost at {:.1} s", us as f64 / 1e6)));
    let limited = worker.limited_by.as_ref().map(|_| Tag::doubt("the limit"));
    let why = worker.lost_why.as_ref().or(worker.limited_by.as_ref());
    let ms = |us: Option<u64>| Cell::ms(us.map(|us| us as f64));
    vec![
        name_cell(report, level),
        Cell::number(worker.number.into(), worker.number.to_string())
            .tags([lost, limited].into_iter().flatten().collect())
            .note(why.cloned().unwrap_or_default()),
        Cell::text(worker.host.clone()).hint(worker.instance.clone()),
        Cell::number(worker.share, grouped(worker.share * 100.0, 1) + " %"),
        Cell::count(worker.requests).note(match worker.missed {
            0 => String::new(),
            missed => format!("{} were due and not sent", grouped(missed as f64, 0)),
        }),
        Cell::rate(level.per_sec(worker.accepted)),
        Cell::count(worker.errors).bad_unless_zero(),
        ms(worker.send_delay_p99_us),
        ms(worker.start_delay_us),
        Cell::part(worker.cpu_share),
        ms(worker.clock_error_us.map(u64::from)),
    ]
}
