//! One module for each subcommand: its arguments, and what it does.

mod beside;
pub(crate) mod capacity;
pub(crate) mod chaos;
mod check;
pub(crate) mod clock;
mod command_line;
pub(crate) mod deployment;
pub(crate) mod find;
mod health;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod idle;
pub(crate) mod load;
mod load_result;
mod manual;
mod measuring;
mod notify_args;
mod otlp_args;
pub(crate) mod otlp_receive;
mod owner;
pub(crate) mod page_args;
pub(crate) mod parsing;
mod pipeline_args;
mod plan;
pub(crate) mod plan_file;
mod plan_text;
mod planned;
mod prometheus_args;
pub(crate) mod reporting;
pub(crate) mod role;
pub(crate) mod run_plan;
mod sampling;
mod search_args;
mod secret;
pub(crate) mod services;
pub(crate) mod stack;
pub(crate) mod sweep;
pub(crate) mod try_plan;
pub(crate) mod ui;
mod value;
mod vary;
pub(crate) mod watch;
pub(crate) mod worker;
mod workers_args;

pub(crate) use reporter::{INTERRUPTED, THRESHOLD_MISSED};

use analysis::Report;
use std::process::ExitCode;

/// The exit code of a command that has made a report.
fn reported(report: &Report) -> ExitCode {
    if report.misses_a_demand() {
        ExitCode::from(THRESHOLD_MISSED)
    } else if report.tells_nothing() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
