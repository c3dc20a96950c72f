//! Arguments that have several workers make the load.

use super::value::parse_duration;
use anyhow::Context;
use clap::{Args, ValueEnum};
use experiment::Workers;
use stamp::MsgId;
use std::time::Duration;

/// Ids tell no more workers of a run apart.
const MOST: i64 = MsgId::WORKERS as i64 - 1;

#[derive(Debug, Clone, Args)]
pub(crate) struct WorkersArgs {
    /// Have this many workers make the load together: started here beside a private pipeline, else those that have come to the log store (`driver worker`)
    #[arg(long, value_name = "N", env = "STAMPEDE_WORKERS", value_parser = clap::value_parser!(u32).range(1..=MOST))]
    pub(super) workers: Option<u32>,

    /// How long to wait until all workers are there
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration)]
    workers_within: Duration,

    /// What becomes of the rest when a worker is lost; the level is marked in any case
    #[arg(long, value_name = "HOW", value_enum, default_value = "fail")]
    on_worker_loss: OnWorkerLoss,

    /// Refuse workers whose clock error is above this
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = parse_duration)]
    worker_clock_error: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnWorkerLoss {
    /// No level follows, and the exit code is 1
    Fail,
    /// The next levels are made by those that are left, and by others that are free
    Continue,
}

impl WorkersArgs {
    /// The workers, where some are asked for.
    /// Fails when this executable cannot be found.
    pub(super) fn workers(&self) -> anyhow::Result<Option<Workers>> {
        let Some(count) = self.workers else { return Ok(None) };
        Ok(Some(Workers {
            count,
            within: self.workers_within,
            clock_error: self.worker_clock_error,
            continues: self.on_worker_loss == OnWorkerLoss::Continue,
            executable: std::env::current_exe().context("cannot find this executable, which is also the workers")?,
        }))
    }
}
