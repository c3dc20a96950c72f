//! `driver import`: the reporter's own command.

use crate::output;
use reporter::ImportArgs;
use std::process::ExitCode;

pub(crate) async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let sweep = reporter::import(&args).await?;
    output::result(sweep.as_str());
    Ok(ExitCode::SUCCESS)
}
