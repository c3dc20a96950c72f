//! Thresholds and whether they held.

use super::table::{Cell, Column, Table, Tag};

/// A threshold as it was written, what was measured, and whether it held.
pub(super) type Threshold = (String, String, bool);

/// One row for each threshold; absent where none was set.
pub(super) fn table(thresholds: &[Threshold]) -> Option<Table> {
    if thresholds.is_empty() {
        return None;
    }
    let columns = vec![Column::words("threshold", ""), Column::words("measured", ""), Column::words("verdict", "")];
    let mut table = Table::new("thresholds", "Thresholds, what was measured, and whether they held", columns);
    for (threshold, measured, held) in thresholds {
        let (order, tag) = if *held { (1.0, Tag::good("✓ held")) } else { (0.0, Tag::bad("missed")) };
        let verdict = Cell { sort: Some(order), tags: vec![tag], ..Cell::default() };
        table.push(None, vec![Cell::text(threshold), Cell::text(measured), verdict]);
    }
    Some(table)
}
