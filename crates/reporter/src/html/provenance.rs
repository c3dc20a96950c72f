//! Where the figures come from: stamps, settings, environment, and how to measure again.

use super::header::Fact;
use super::table::{Cell, Column, Table};
use analysis::Report;
use stamp::mask;
use std::collections::BTreeMap;

/// The setting that holds the command line.
const COMMAND: &str = "command";

/// What the stamps of each stage are worth; absent where nobody looked.
pub(super) fn stamping(report: &Report) -> Option<Table> {
    if report.stamping.is_empty() {
        return None;
    }
    let lag = "from the event to the moment when the log store took the stamp, ms: it is corrected";
    let error = "bound of the error of the event's time, ms";
    let columns = vec![
        Column::words("stage", ""),
        Column::of("stamps", "read from the log store"),
        Column::of("plain", "readings of the clock without lag and error"),
        Column::of("dropped", "stamps that did not fit their writers' buffers, or whose writing failed"),
        Column::of("lag p50", lag),
        Column::of("lag p99", lag),
        Column::of("lag max", lag),
        Column::of("error p50", error),
        Column::of("error p99", error),
        Column::of("error max", error),
    ];
    let mut table = Table::new("stamping", "What the stamps of each stage are worth, times in ms", columns);
    for stage in &report.stamping {
        let mut row = vec![
            Cell::text(stage.stage.as_str()),
            Cell::count(stage.stamps),
            Cell::count(stage.plain),
            Cell::count(stage.dropped).bad_unless_zero(),
        ];
        for times in [&stage.lag, &stage.err] {
            row.extend([times.p50_us, times.p99_us, times.max_us].map(|us| Cell::ms(us.map(|us| us as f64))));
        }
        table.push(None, row);
    }
    Some(table)
}

/// Names and values as they may be shown.
fn facts(values: &BTreeMap<String, String>) -> Vec<Fact> {
    let shown = values.iter().filter(|(name, value)| *name != COMMAND && !value.is_empty());
    shown.map(|(name, value)| Fact::new(name, mask(value).into_owned())).collect()
}

/// Every setting but the command line.
pub(super) fn settings(report: &Report) -> Vec<Fact> {
    facts(&report.settings)
}

/// Kernel, processor, versions and the servers' settings.
pub(super) fn environment(report: &Report) -> Vec<Fact> {
    facts(&report.environment)
}

/// The command line that made the load; absent where the report does not know it.
pub(super) fn command(report: &Report) -> Option<String> {
    report.settings.get(COMMAND).map(|command| mask(command).into_owned())
}
