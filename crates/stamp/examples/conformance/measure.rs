//! How true the clock is, and what a stamp costs.

use clap::Args;
use serde_json::json;
use stamp::{Envelope, RedisUrl, SampleEvery, Stage, Tracer, TracerOptions, clock};
use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

#[derive(Args)]
pub(crate) struct ClockArguments {
    #[arg(long)]
    redis: RedisUrl,
    #[arg(long)]
    seconds: f64,
    /// Keep the process busy meanwhile
    #[arg(long)]
    busy: bool,
}

#[derive(Args)]
pub(crate) struct CostArguments {
    #[arg(long)]
    redis: RedisUrl,
    #[arg(long)]
    every: SampleEvery,
    #[arg(long)]
    messages: u64,
    #[arg(long)]
    rounds: usize,
}

/// How often the clock is asked.
const PERIOD: Duration = Duration::from_millis(2);

/// Tells Redis time, between two readings of the monotonic clock.
pub(crate) async fn clock(arguments: &ClockArguments) -> Result<(), Box<dyn Error>> {
    let tracer = Tracer::start(&arguments.redis, TracerOptions::default());
    let end = clock::now() + Duration::from_secs_f64(arguments.seconds);
    while clock::now() < end {
        let before_ns = monotonic_ns();
        let told = tracer.clock().map(|state| state.at(clock::now()));
        let after_ns = monotonic_ns();
        if let Some(time) = told {
            println!(
                "{}",
                json!({"before_ns": before_ns, "us": time.us, "error_us": time.error_us, "after_ns": after_ns})
            );
        }
        let next = clock::now() + PERIOD;
        while arguments.busy && clock::now() < next {
            black_box((0..1000).map(|n| n.to_string()).collect::<Vec<_>>());
        }
        tokio::time::sleep(next.saturating_duration_since(clock::now())).await;
    }
    tracer.close().await;
    Ok(())
}

/// Reads envelopes, and reads and stamps them, in turn.
pub(crate) async fn cost(arguments: &CostArguments) -> Result<(), Box<dyn Error>> {
    let tracer = Tracer::start(&arguments.redis, TracerOptions { every: arguments.every, ..TracerOptions::default() });
    let stage = tracer.stage(&"cost".parse::<Stage>()?);
    let bodies: Vec<String> =
        (0..arguments.messages).map(|id| format!(r#"{{"data":"xxxxxxxxxxxxxxxx","id":{id},"run":"cost"}}"#)).collect();
    let messages = i64::try_from(bodies.len())?;
    let mut told = [const { Vec::new() }; 4];
    for _ in 0..arguments.rounds {
        for stamps in [false, true] {
            let (wall, cpu) = (monotonic_ns(), cpu_ns());
            for body in &bodies {
                let envelope = Envelope::read(black_box(body.as_bytes()))?;
                if stamps {
                    tracer.run(envelope.run()).stamp(stage, envelope.id);
                }
            }
            if stamps {
                tracer.flush().await;
            }
            told[usize::from(stamps)].push((monotonic_ns() - wall) / messages);
            told[2 + usize::from(stamps)].push((cpu_ns() - cpu) / messages);
        }
    }
    tracer.close().await;
    let [without, with, cpu_without, cpu_with] = told;
    println!(
        "{}",
        json!({"without_ns": without, "with_ns": with, "cpu_without_ns": cpu_without, "cpu_with_ns": cpu_with})
    );
    Ok(())
}

fn monotonic_ns() -> i64 {
    ns(rustix::time::ClockId::Monotonic)
}

fn cpu_ns() -> i64 {
    ns(rustix::time::ClockId::ProcessCPUTime)
}

fn ns(clock: rustix::time::ClockId) -> i64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
