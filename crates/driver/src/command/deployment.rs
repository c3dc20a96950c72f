//! The subcommands for those who pack and deploy the driver.

use super::health::{self, HealthArgs};
use super::manual::{self, CompletionsArgs, ManArgs};
use super::owner::{self, OwnerArgs};
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum Deployment {
    /// Check an HTTP server's health: exit code 0 on 2xx, else 1
    Health(HealthArgs),
    /// Print the completions of a shell
    #[command(hide = true)]
    Completions(CompletionsArgs),
    /// Write manual pages
    #[command(hide = true)]
    Man(ManArgs),
    /// Run the driver as the owner of a folder
    #[command(hide = true)]
    AsOwnerOf(OwnerArgs),
}

impl Deployment {
    /// `whole` is the driver's command line, which completions and manual pages are made from.
    pub(crate) async fn run(self, whole: clap::Command) -> anyhow::Result<ExitCode> {
        match self {
            Deployment::Health(args) => health::run(args).await,
            Deployment::Completions(args) => manual::completions(&args, whole),
            Deployment::Man(args) => manual::man(&args, whole),
            Deployment::AsOwnerOf(args) => owner::run(&args),
        }
    }
}
