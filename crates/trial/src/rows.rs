//! The rows of tables, once set-up has run.

use crate::answer::Found;
use crate::hook;
use plan::{Data, Rows};
use serde_json::Value;

/// The first row of a table, a value for each column that texts name.
///
/// # Errors
/// When it does not come, or has no such columns.
pub(crate) async fn first(data: &Data, kept: &[Option<Found>]) -> Result<Vec<String>, String> {
    let missing = |column: &str| format!("`{}` has no column `{column}`", data.name);
    match &data.rows {
        Rows::Known { rows, .. } => rows.first().cloned().ok_or_else(|| format!("`{}` has no rows", data.name)),
        Rows::Kept { kept: number, columns } => {
            let found = kept.get(*number).and_then(Option::as_ref).ok_or("set-up has not kept it")?;
            let list: Vec<Value> = serde_json::from_str(found.json.as_deref().unwrap_or(&found.text))
                .map_err(|_| format!("`{}` is no JSON list", data.name))?;
            let row = list.first().ok_or_else(|| format!("`{}` has no rows", data.name))?;
            let value = |column: &String| match row {
                Value::Object(object) => object.get(column).map(plain),
                plain_value => (column == "value").then(|| plain(plain_value)),
            };
            columns.iter().map(|column| value(column).ok_or_else(|| missing(column))).collect()
        }
        Rows::Command { hook, columns } => {
            let output = hook::run(hook).await.map_err(|why| format!("{:?}: {why}", hook.command))?;
            let mut lines = output.lines();
            let names: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
            let row: Vec<&str> =
                lines.next().ok_or_else(|| format!("{:?} printed no rows", hook.command))?.split(',').collect();
            let value = |column: &String| {
                row.get(names.iter().position(|name| name == column)?).map(|value| (*value).to_owned())
            };
            columns.iter().map(|column| value(column).ok_or_else(|| missing(column))).collect()
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
