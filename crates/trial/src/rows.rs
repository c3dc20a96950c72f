//! The row of a table that the one user takes, once set-up has run.

use crate::hook;
use plan::rows::{self, Datum, Table};
use plan::{Data, Rows};

/// The first row, with a value for each column that texts name.
///
/// # Errors
/// When it does not come, or has no such columns.
pub(crate) async fn first(data: &Data, kept: &[Option<Datum>]) -> Result<Vec<Datum>, String> {
    let (table, columns): (Table, _) = match &data.rows {
        Rows::Known { rows, .. } => return rows.first().cloned().ok_or_else(|| "there are no rows".to_owned()),
        Rows::Kept { kept: number, columns } => {
            let found = kept.get(*number).and_then(Option::as_ref).ok_or("set-up has not kept it")?;
            (rows::json(&found.text)?, columns)
        }
        Rows::Command { hook, columns } => (rows::csv(&hook::run(hook).await?)?, columns),
    };
    table.row(0, columns)
}
