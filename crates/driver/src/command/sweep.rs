//! `driver sweep`: its arguments; what they mean is a plan, which `experiment` runs.

use super::load::ShapeArgs;
use super::measuring::MeasuringArgs;
use super::pipeline_args::{LocalArgs, RemoteArgs};
use super::planned::{Over, OverPlanArgs, With};
use super::run_plan::perform;
use super::sampling::Every;
use super::value::{parse_duration, parse_rate};
use crate::output;
use clap::{ArgMatches, Args, Parser};
use reporter::{is_given, is_set};
use stamp::{MsgId, Path, UsageError};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Clone, Args)]
pub(crate) struct SweepArgs {
    /// Load as the users of this plan file do (docs/plan.md); options count more than the file
    #[arg(long, value_name = "FILE")]
    pub(super) plan: Option<PathBuf>,

    #[command(flatten)]
    pub(super) over_plan: OverPlanArgs,

    /// The lowest concurrency
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    pub(super) from: u16,

    /// The highest concurrency
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    pub(super) to: u16,

    /// Step from one concurrency to the next
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) step: u16,

    /// Sweep over these concurrencies instead, separated by commas, for example 1,4,16
    #[arg(long, value_name = "CONNECTIONS", value_delimiter = ',', conflicts_with_all = ["from", "to", "step"], value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    pub(super) levels: Vec<u16>,

    /// Sweep over these rates instead, in an open loop: requests a second, separated by commas
    #[arg(long, value_name = "PER_SECOND", value_delimiter = ',', value_parser = parse_rate, conflicts_with_all = ["from", "to", "step", "levels"])]
    pub(super) rates: Vec<f64>,

    /// The lowest rate, where rates are in even steps
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate, requires_all = ["rate_to", "rate_step"], conflicts_with_all = ["from", "to", "step", "levels", "rates"])]
    pub(super) rate_from: Option<f64>,

    /// The highest rate
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate, requires = "rate_from")]
    pub(super) rate_to: Option<f64>,

    /// Step from one rate to the next
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate, requires = "rate_from")]
    pub(super) rate_step: Option<f64>,

    /// Connections at the start of a level with a rate
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=i64::from(MsgId::CONNECTIONS)))]
    pub(super) rate_connections: u16,

    /// Run each level this many times, in an order shuffled by --seed
    #[arg(long, value_name = "K", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) repeat: u32,

    /// End a level after this many requests, if that comes before --duration
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) requests: Option<u64>,

    /// The load generator: this program, or wrk with scripts/post.lua (whole seconds, closed loop, no `send` stamps)
    #[arg(long, value_enum, default_value = "driver")]
    pub(super) generator: Generator,

    #[command(flatten)]
    pub(super) shape: ShapeArgs,

    /// Warm-up load before each level; it counts nowhere
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    pub(super) warmup: Duration,

    /// Stamp 1 message in N: those with id % N == 0; `auto` for as many as cost 1 % of the processor (private pipeline)
    #[arg(long, value_name = "N", env = "STAMPEDE_EVERY", default_value = "100")]
    pub(super) every: Every,

    /// The path of requests [default: that of --target]; may hold {id}, {run}, {payload} and {now}
    #[arg(long, value_name = "PATH")]
    pub(super) http_path: Option<String>,

    /// The stages that messages pass, in order, separated by commas; or a file that holds them
    #[arg(long, value_name = "STAGES", value_parser = reporter::parse_path, default_value = "send,apiserver,enqueue,pushserver,publish,mqttclient")]
    pub(super) path: Path,

    /// How the driver takes its own event times
    #[arg(long, value_enum, default_value = "disciplined")]
    pub(super) clock: service::Clock,

    #[command(flatten)]
    pub(super) measuring: MeasuringArgs,

    #[command(flatten)]
    pub(super) remote: RemoteArgs,

    #[command(flatten)]
    pub(super) local: LocalArgs,
}

/// What makes the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Generator {
    Driver,
    Wrk,
}

/// A sweep with all defaults: clap knows them.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Usual {
    #[command(flatten)]
    sweep: SweepArgs,
}

impl SweepArgs {
    /// A sweep with all defaults.
    /// Fails when a variable of the environment is no value of its option.
    pub(super) fn usual() -> Result<Self, clap::Error> {
        Ok(Usual::try_parse_from(std::iter::empty::<&str>())?.sweep)
    }

    /// A plan file, and what is set over it; of options with a default, those that are given.
    fn with<'a>(&'a self, file: &'a std::path::Path, matches: &ArgMatches) -> anyhow::Result<With<'a>> {
        let given = |id: &str| is_given(matches, id);
        let every = match self.every {
            Every::One(every) => is_set(matches, "every").then_some(every),
            Every::Auto => return Err(UsageError("--every auto knows no steps: give a number".to_owned()).into()),
        };
        Ok(With {
            file,
            args: &self.over_plan,
            over: Over {
                rates: self.all_rates(),
                duration: given("duration").then_some(self.shape.duration),
                warmup: given("warmup").then_some(self.warmup),
                repeat: given("repeat").then_some(self.repeat),
                requests: self.requests,
                timeout: given("timeout").then_some(self.shape.timeout),
                seed: given("seed").then_some(self.shape.seed),
                arrivals: given("arrivals").then_some(self.shape.arrivals),
                within: None,
            },
            search: None,
            redis: self.remote.redis.clone(),
            log_store: self.remote.log_store.clone(),
            redis_args: &self.remote.redis_args,
            every,
            path: given("path").then(|| self.path.clone()),
            trust: self.shape.trust(),
            measuring: &self.measuring,
        })
    }
}

pub(crate) async fn run(args: SweepArgs, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.plan {
        return perform("sweep", &args.with(file, matches)?).await;
    }
    if args.over_plan.print_plan {
        output::result(args.as_plan().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let plan = args.plan()?;
    args.measuring.until_signal("sweep", &plan, "waiting for what was accepted to arrive").await
}
