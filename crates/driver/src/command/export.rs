//! `driver export`: the reporter's own command.

use crate::output;
use reporter::ExportArgs;
use std::process::ExitCode;

pub(crate) async fn run(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let file = reporter::export(&args).await?;
    output::result(&file.display().to_string());
    Ok(ExitCode::SUCCESS)
}
