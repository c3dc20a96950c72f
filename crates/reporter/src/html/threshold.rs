//! Thresholds and whether they held.

use super::table::{Cell, Column, Table, Tag};
use analysis::ThresholdVerdict;

/// One row for each threshold; absent where none was set.
pub(super) fn table(verdicts: &[ThresholdVerdict]) -> Option<Table> {
    if verdicts.is_empty() {
        return None;
    }
    let columns = vec![Column::words("threshold", ""), Column::words("measured", ""), Column::words("verdict", "")];
    let mut table = Table::new("thresholds", "Thresholds, what was measured, and whether they held", columns);
    for verdict in verdicts {
        let (order, tag) = if verdict.held { (1.0, Tag::good("✓ held")) } else { (0.0, Tag::bad("missed")) };
        let held = Cell { sort: Some(order), tags: vec![tag], ..Cell::default() };
        table.push(None, vec![Cell::text(&verdict.threshold), Cell::text(verdict.told()), held]);
    }
    Some(table)
}
