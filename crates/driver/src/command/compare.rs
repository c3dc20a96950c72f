//! `driver compare`: the reporter's own command.

use crate::output;
use reporter::CompareArgs;
use std::process::ExitCode;

pub(crate) async fn run(args: CompareArgs) -> anyhow::Result<ExitCode> {
    let (table, folder) = reporter::compare(&args).await?;
    output::result(&table);
    output::note(&format!("comparison: {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}
