//! `driver report`: the reporter's own command.

use crate::output;
use reporter::ReportArgs;
use std::process::ExitCode;

pub(crate) async fn run(args: ReportArgs) -> anyhow::Result<ExitCode> {
    let (report, folder) = reporter::report(&args).await?;
    if let Some(table) = report.thresholds_table() {
        output::note(&table);
    }
    output::result(&folder.display().to_string());
    Ok(super::reported(&report))
}
