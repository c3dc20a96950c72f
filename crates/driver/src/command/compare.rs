//! `driver compare`: the reporter's own command.

use crate::output;
use reporter::CompareArgs;
use std::process::ExitCode;

pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let (table, folder) = reporter::compare(args)?;
    output::result(&table);
    output::note(&format!("comparison: {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}
