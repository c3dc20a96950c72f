//! The rows of a plan's tables, once set-up has run.

use crate::hook;
use load::Value;
use plan::rows::{self, Datum, Table};
use plan::{Data, Rows, Take, UserKind};

/// All rows, with a value for each column that texts name.
/// Fails when they do not come, or have no such columns.
pub(crate) async fn rows(data: &Data, constants: &[Value]) -> Result<Vec<Vec<Value>>, String> {
    let (table, columns): (Table, _) = match &data.rows {
        Rows::Known { rows, .. } => return Ok(rows.iter().map(|row| row.iter().map(value).collect()).collect()),
        Rows::Kept { kept, columns } => (rows::json(constants[*kept].get().ok_or("set-up has not kept it")?)?, columns),
        Rows::Command { hook, columns } => (rows::csv(&hook::run(hook).await?)?, columns),
    };
    let row = |number| table.row(number, columns).map(|row| row.iter().map(value).collect());
    (0..table.rows.len()).map(row).collect()
}

fn value(datum: &Datum) -> Value {
    if datum.is_json() { Value::json(datum.text.as_str()) } else { Value::text(datum.text.as_str()) }
}

/// How users come by rows. What a user needs when it begins or stops stays with it.
pub(crate) fn take(data: &Data, number: usize, kinds: &[UserKind]) -> load::Take {
    let per_user = kinds.iter().any(|kind| {
        let steps = || kind.on_start.iter().chain(&kind.on_stop);
        let texts = steps().flat_map(|step| step.texts());
        let headers = kind.headers.iter().map(|(_, text)| text).filter(|_| steps().next().is_some());
        let is_of_it = |value: &plan::Value| matches!(value, plan::Value::Column(table, _) if *table == number);
        texts.chain(headers).flat_map(plan::Text::values).any(is_of_it)
    });
    match data.take {
        Take::Unique => load::Take::Unique,
        Take::Once => load::Take::Once,
        Take::Circular => load::Take::Circular { per_user },
        Take::Random => load::Take::Random { per_user },
    }
}
