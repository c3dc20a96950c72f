//! `driver report`: the reporter's own command.

use crate::output;
use reporter::ReportArgs;
use std::process::ExitCode;

pub(crate) async fn run(args: ReportArgs) -> anyhow::Result<ExitCode> {
    let (_, folder) = reporter::report(&args).await?;
    output::result(&folder.display().to_string());
    Ok(ExitCode::SUCCESS)
}
