//! `driver health`: does an HTTP server answer well? For the health checks of containers without a shell.

use super::value::parse_duration;
use crate::output;
use clap::Args;
use load::{Exchange, Target};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long it rests between two questions.
const PERIOD: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Args)]
pub(crate) struct HealthArgs {
    /// What is asked, for example `http://127.0.0.1:8080/readyz`
    #[arg(value_name = "URL")]
    target: Target,

    /// How long the answer may take
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    within: Duration,

    /// Ask again until it is well, for at most so long
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    wait: Option<Duration>,
}

impl HealthArgs {
    /// What a healthy server tells.
    async fn ask(&self) -> anyhow::Result<String> {
        let reply = Exchange::GET.with(&self.target, self.within).await?;
        anyhow::ensure!(reply.is_fine(), "{} answers {}: {}", self.target, reply.status, reply.told());
        Ok(reply.told())
    }

    /// The same, from one that may have to start first; the last fault where it did not in time.
    async fn ask_until_well(&self, wait: Duration) -> anyhow::Result<String> {
        let mut last = None;
        let well = timeout(wait, async {
            loop {
                match self.ask().await {
                    Ok(told) => break told,
                    Err(error) => last = Some(error),
                }
                sleep(PERIOD).await;
            }
        });
        match well.await {
            Ok(told) => Ok(told),
            Err(_) => match last {
                Some(error) => Err(error),
                // There was no time for an answer.
                None => self.ask().await,
            },
        }
    }
}

pub(crate) async fn run(args: HealthArgs) -> anyhow::Result<ExitCode> {
    // As the first process of a container it would else not hear that it is to end.
    reporter::exit_on_signal()?;
    let told = match args.wait {
        Some(wait) => args.ask_until_well(wait).await?,
        None => args.ask().await?,
    };
    output::result(&told);
    Ok(ExitCode::SUCCESS)
}
