//! CPU and memory, by component.

use super::figure;
use super::name;
use super::table::{Cell, Column, Table};
use analysis::number::grouped;
use analysis::{Level, Report, Usage, distinct};

/// What the processes of one level spent; absent where nobody looked.
pub(super) fn table(index: usize, level: &Level) -> Option<Table> {
    let usage = &level.load.usage;
    if usage.is_empty() {
        return None;
    }
    let columns = vec![
        Column::words("component", "a process, or the whole host"),
        Column::of("CPU time", "s"),
        Column::of("processors busy", "on average"),
        Column::of("of its most", "of the processors that it can keep busy"),
        Column::of("CPU-µs a message", "CPU time by accepted message"),
        Column::of("memory", "resident, the most that was seen"),
    ];
    let mut table = Table::new(format!("usage-{index}"), "CPU and memory by component", columns);
    for one in usage {
        table.push(
            None,
            vec![
                Cell::text(name::component(one)),
                Cell::number(one.cpu_us as f64, grouped(one.cpu_us as f64 / 1e6, 2)),
                Cell::number(one.busy(), grouped(one.busy(), 2)),
                Cell::part(Some(one.utilization()))
                    .hint(format!("of {}", grouped(one.cores, usize::from(one.cores.fract() != 0.0)))),
                by_message(one.cpu_us, level),
                one.memory_bytes
                    .map_or_else(Cell::absent, |bytes| Cell::number(bytes as f64, figure::mebibytes(bytes))),
            ],
        );
    }
    Some(table)
}

/// CPU-µs a message and how busy each component was, level by level; absent where nobody looked.
pub(super) fn overview(report: &Report) -> Option<Table> {
    let usages = report.levels.iter().flat_map(|level| &level.load.usage);
    let components = distinct(usages.map(|usage| usage.component.as_str()));
    if components.is_empty() {
        return None;
    }
    let mut columns = vec![Column::words("level", "")];
    columns.extend(
        components
            .iter()
            .map(|component| Column::of(*component, "CPU-µs by accepted message; below it, how busy it was")),
    );
    columns.push(Column::of("pipeline", "CPU-µs by accepted message of all of them but the driver and the host"));
    let mut table = Table::new("usage", "CPU-µs a message by component, level by level", columns);
    for (index, level) in report.levels.iter().enumerate() {
        let mut row = vec![name_cell(report, level)];
        row.extend(components.iter().map(|component| together(level, component)));
        row.push(pipeline(level));
        table.push(Some(index), row);
    }
    Some(table)
}

/// All processes of one component.
fn together(level: &Level, component: &str) -> Cell {
    let all: Vec<&Usage> = level.load.usage.iter().filter(|usage| usage.component == component).collect();
    if all.is_empty() {
        return Cell::absent();
    }
    let cell = by_message(all.iter().map(|usage| usage.cpu_us).sum(), level);
    let busiest = all.iter().map(|usage| usage.utilization()).fold(0.0, f64::max);
    let memory: u64 = all.iter().filter_map(|usage| usage.memory_bytes).sum();
    let hint = if memory > 0 { format!("memory {}", figure::mebibytes(memory)) } else { String::new() };
    cell.note(format!("{} busy", figure::percent(busiest))).hint(hint)
}

/// What the pipeline itself spent: neither who loads it, nor the host, which holds everything.
fn pipeline(level: &Level) -> Cell {
    level.cpu_us_per_message().map_or_else(Cell::absent, |each| Cell::number(each, grouped(each, 2)))
}

fn by_message(cpu_us: u64, level: &Level) -> Cell {
    let messages = level.books.accepted;
    if messages == 0 {
        return Cell::absent();
    }
    let each = cpu_us as f64 / messages as f64;
    Cell::number(each, grouped(each, 2))
}

/// A level as the head of a row.
pub(super) fn name_cell(report: &Report, level: &Level) -> Cell {
    Cell { sort: level.load.position(), ..Cell::text(name::level(report, level)) }.tags(name::marks(level))
}
