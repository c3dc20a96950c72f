//! Little's law, level by level: messages in flight = rate × latency.

use super::figure;
use super::table::{Cell, Column, Table, Tag};
use super::usage::name_cell;
use analysis::{LittleLaw, Report, distinct};

/// The checks of every level; absent where none could be made.
pub(super) fn table(report: &Report) -> Option<Table> {
    let scopes = distinct(report.levels.iter().flat_map(|level| &level.little).map(|law| law.scope.as_str()));
    if scopes.is_empty() {
        return None;
    }
    let mut columns = vec![Column::words("level", "")];
    let hint = "in flight / (rate × latency): 1 where all is well";
    columns.extend(scopes.iter().map(|scope| Column::of(*scope, hint)));
    let mut table = Table::new("little", "Little's law: in flight by rate × latency, level by level", columns);
    for (index, level) in report.levels.iter().enumerate() {
        let law = |scope: &str| level.little.iter().find(|law| law.scope == scope);
        let mut row = vec![name_cell(report, level)];
        row.extend(scopes.iter().map(|scope| law(scope).map_or_else(Cell::absent, cell)));
        table.push(Some(index), row);
    }
    Some(table)
}

fn cell(law: &LittleLaw) -> Cell {
    let product = law.rate_per_sec * law.latency_us / 1e6;
    let cell = Cell::number(law.ratio, figure::significant(law.ratio, 3))
        .note(format!("{} / {}", figure::significant(law.in_flight, 3), figure::significant(product, 3)))
        .hint(format!(
            "{} in flight; {} a second × {} ms",
            figure::significant(law.in_flight, 3),
            figure::significant(law.rate_per_sec, 3),
            figure::ms(law.latency_us)
        ));
    if law.off { cell.tags(vec![Tag::bad("off")]) } else { cell }
}
