//! This crate's part in the suite that holds all SDKs against one another (sdk/README.md). `scripts/test-sdks` runs it.

#![allow(clippy::print_stdout, reason = "the suite reads what this tells on stdout")]

mod hop;
mod measure;
mod pure;

use clap::{Parser, Subcommand};
use serde_json::Value;
use std::error::Error;

/// One subcommand for each question of the suite.
#[derive(Parser)]
enum Question {
    /// Stamps what passes from one list to another
    Hop(Box<hop::Arguments>),
    /// Asks for Redis time, between two readings of the monotonic clock
    Clock(measure::ClockArguments),
    /// Measures what a stamp costs
    Cost(measure::CostArguments),
    #[command(flatten)]
    Pure(Pure),
}

/// What needs no server: a line of stdin is answered by a line of stdout.
#[derive(Subcommand)]
enum Pure {
    /// Reads envelopes, one in base64 on each line
    Envelope,
    /// Feeds the filter with the probes of each line
    Filter,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match Question::parse() {
        Question::Hop(arguments) => hop::run(*arguments).await,
        Question::Clock(arguments) => measure::clock(&arguments).await,
        Question::Cost(arguments) => measure::cost(&arguments).await,
        Question::Pure(Pure::Envelope) => answer(pure::envelope),
        Question::Pure(Pure::Filter) => answer(pure::filter),
    }
}

/// The answers to all lines of stdin.
fn answer(question: fn(&str) -> Result<Value, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lines() {
        println!("{}", question(&line?)?);
    }
    Ok(())
}
