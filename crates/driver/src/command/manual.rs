//! `driver completions` and `driver man`: what packages install beside the executable, made from the arguments themselves.

use anyhow::Context;
use clap::Args;
use clap_complete::Shell;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The executable's name.
const NAME: &str = "driver";

#[derive(Debug, Clone, Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ManArgs {
    /// The folder for the pages, one for each subcommand; it is made where it is missing
    folder: PathBuf,
}

/// Prints the completions of one shell.
pub(crate) fn completions(args: &CompletionsArgs, mut command: clap::Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, NAME, &mut script);
    match std::io::stdout().write_all(&script) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot print the completions"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Writes a manual page for each subcommand that is not hidden.
pub(crate) fn man(args: &ManArgs, command: clap::Command) -> anyhow::Result<ExitCode> {
    let failed = || format!("cannot write the manual pages to {}", args.folder.display());
    std::fs::create_dir_all(&args.folder).with_context(failed)?;
    clap_mangen::generate_to(command, &args.folder).with_context(failed)?;
    Ok(ExitCode::SUCCESS)
}
