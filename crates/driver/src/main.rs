//! `driver`: the whole product in one executable. The command line: each command makes a plan, or calls what another crate does; in hidden
//! roles it is each of the services.

mod command;
mod listening;
mod output;
mod progress;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use command::capacity::CapacityArgs;
use command::chaos::ChaosArgs;
use command::clock::ClockArgs;
use command::deployment::Deployment;
use command::find::FindArgs;
use command::history::HistoryArgs;
use command::load::LoadArgs;
use command::plan_file::PlanFileArgs;
use command::reporting::Reporting;
use command::role::Role;
use command::run_plan::RunArgs;
use command::services::ServicesArgs;
use command::stack::StackArgs;
use command::sweep::SweepArgs;
use command::try_plan::TryArgs;
use command::ui::UiArgs;
use command::watch::WatchArgs;
use command::worker::WorkerArgs;
use std::pin::Pin;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "driver", version, about = "Measures when messages ARRIVE at the end of an asynchronous pipeline")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
enum Command {
    /// Load the pipeline at one concurrency after another and report arrival latency
    Sweep(SweepArgs),
    /// Run a plan file: users and their steps, as it says, with a report
    Run(RunArgs),
    /// Open the live page: start plans there, watch and change them, and compare past reports
    Ui(UiArgs),
    /// Find the highest load under which something holds: of a pipeline, of one API, or of a plan's users
    Find(FindArgs),
    /// Measure what each part carries by itself, and how many of each a target takes
    Capacity(CapacityArgs),
    /// Load one HTTP API and report its latency; no tracing needed
    Load(LoadArgs),
    /// Report arrival latency for a load that another program makes: Locust, k6, wrk
    Watch(WatchArgs),
    /// Make parts of loads for a coordinator: `driver sweep --workers N` and others
    Worker(WorkerArgs),
    /// Show the runs so far, and their trends; with --check, whether the newest is worse
    History(HistoryArgs),
    /// Check a plan file: all that is wrong with it, with its place and what to do; nothing is sent
    Check(PlanFileArgs),
    /// Try a plan file: one user, one round, each request and answer shown, secrets masked
    Try(TryArgs),
    /// Run a private local pipeline in the foreground until Ctrl-C
    Stack(StackArgs),
    /// Kill and stop parts of a private local pipeline under load, and prove that nothing accepted is lost
    Chaos(ChaosArgs),
    /// List the running services: version, host, N, clock, CPU, memory
    Services(ServicesArgs),
    /// Show how well Redis time is known here: offset, drift, round trip, error
    Clock(ClockArgs),
    #[command(flatten)]
    Reporting(Reporting),
    #[command(flatten)]
    Deployment(Deployment),
    /// Take traces of services that are traced already (OTLP/HTTP), and write stamps for them
    OtlpReceive(otlp::receive::ReceiveArgs),
    /// One process of the local stack
    #[command(hide = true)]
    Role {
        #[command(subcommand)]
        role: Role,
    },
}

fn main() -> ExitCode {
    stamp::process::raise_open_files();
    let matches = match command::parsing::parse(command::help::shaped(Arguments::command())) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => return command::parsing::refuse(error),
    };
    let done = match command::idle::refuse(&matches) {
        Ok(()) => run(arguments.command, &matches),
        Err(error) => Err(error.into()),
    };
    let done = done.unwrap_or_else(|error| {
        output::error(&error);
        ExitCode::from(reporter::exit_code(&error))
    });
    match output::unprinted() {
        Some(why) => {
            output::note(&format!("error: cannot print the results: {why}"));
            if done == ExitCode::SUCCESS { ExitCode::FAILURE } else { done }
        }
        None => done,
    }
}

fn run(command: Command, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
    let process: Pin<Box<dyn Future<Output = anyhow::Result<ExitCode>> + '_>> = match command {
        Command::Role { role } => return role.run(),
        Command::History(args) => return command::history::run(&args),
        Command::Check(args) => return command::plan_file::check(&args),
        Command::Sweep(args) => Box::pin(command::sweep::run(args, matches)),
        Command::Run(args) => Box::pin(command::run_plan::run(args)),
        Command::Ui(args) => Box::pin(command::ui::run(args)),
        Command::Find(args) => Box::pin(command::find::run(args, matches)),
        Command::Capacity(args) => Box::pin(command::capacity::run(args)),
        Command::Load(args) => Box::pin(command::load::run(args)),
        Command::Watch(args) => Box::pin(command::watch::run(args)),
        Command::Worker(args) => Box::pin(command::worker::run(args)),
        Command::Try(args) => Box::pin(command::try_plan::run(args)),
        Command::Stack(args) => Box::pin(command::stack::run(args)),
        Command::Chaos(args) => Box::pin(command::chaos::run(args)),
        Command::Services(args) => Box::pin(command::services::run(args)),
        Command::Clock(args) => Box::pin(command::clock::run(args)),
        Command::Reporting(command) => Box::pin(command.run()),
        Command::Deployment(command) => Box::pin(command.run(command::help::shaped(Arguments::command()))),
        Command::OtlpReceive(args) => Box::pin(command::otlp_receive::run(args, matches)),
    };
    service::block_on(process)
}
