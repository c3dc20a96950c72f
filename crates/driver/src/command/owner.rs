//! `driver as-owner-of`: in a container, the driver again, but as whoever owns a folder of the host's. Reports on a mounted folder then
//! belong to the caller, whose user id the container cannot know beforehand.

use anyhow::Context;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

#[derive(Debug, Clone, Args)]
pub(crate) struct OwnerArgs {
    /// The folder
    folder: PathBuf,

    /// The arguments of the driver
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: &OwnerArgs) -> anyhow::Result<ExitCode> {
    let folder = args.folder.display();
    let owner = std::fs::metadata(&args.folder).with_context(|| format!("cannot look at {folder}: is it mounted?"))?;
    let executable = std::env::current_exe().context("cannot find this executable")?;
    let mut command = Command::new(executable);
    command.args(&args.arguments);
    // Whoever is not root is who he is, and root's own folder needs nobody else.
    if rustix::process::geteuid().is_root() && owner.uid() != 0 {
        command.gid(owner.gid()).uid(owner.uid());
    }
    // Returns only where it fails: this process becomes the driver, so that signals reach it.
    Err(command.exec()).with_context(|| format!("cannot become the owner of {folder} (uid {})", owner.uid()))
}
