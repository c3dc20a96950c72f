//! `report.json`: the report, field by field.

use super::RenderError;
use crate::Report;

pub(super) fn render(report: &Report) -> Result<Vec<u8>, RenderError> {
    let mut json = serde_json::to_vec_pretty(report)?;
    json.push(b'\n');
    Ok(json)
}
