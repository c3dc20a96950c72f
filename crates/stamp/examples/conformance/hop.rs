//! A hop of a pipeline: from one list to another, as each SDK's program does it.

use clap::Args;
use serde_json::json;
use stamp::{ClockMode, Envelope, RedisUrl, RunId, SampleEvery, Stage, Tracer, TracerOptions, Wait};
use std::error::Error;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The log store
    #[arg(long)]
    redis: RedisUrl,
    /// What holds both lists
    #[arg(long)]
    queue: RedisUrl,
    #[arg(long)]
    from: String,
    #[arg(long)]
    to: String,
    #[arg(long)]
    stage: Stage,
    #[arg(long, default_value_t)]
    every: SampleEvery,
    #[arg(long, value_parser = clock_mode, default_value = "disciplined")]
    clock: ClockMode,
    #[arg(long)]
    service: String,
}

fn clock_mode(text: &str) -> Result<ClockMode, &'static str> {
    match text {
        "disciplined" => Ok(ClockMode::Disciplined),
        "plain" => Ok(ClockMode::Redis),
        _ => Err("disciplined or plain"),
    }
}

/// Moves messages until SIGTERM.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { redis, queue, from, to, stage, every, clock, service } = arguments;
    let mut ended = signal(SignalKind::terminate())?;
    let tracer = Tracer::start(&redis, TracerOptions { service, every, clock, ..TracerOptions::default() });
    let (stage, garbage) = (tracer.stage(&stage), tracer.counter("garbage"));
    // A flush writes the first beat, too; the log store may be away.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), tracer.flush()).await;
    println!("{}", json!({"ready": true}));
    let mut queue = queue.connect(Wait::Forever).await?;
    let mut handled = 0;
    while goes_on(&mut ended).await {
        let mut pop = redis::cmd("BLMPOP");
        pop.arg(0.1).arg(1).arg(&from).arg("RIGHT").arg("COUNT").arg(64);
        let popped: Option<(String, Vec<Vec<u8>>)> = pop.query_async(&mut queue).await?;
        let Some((_, bodies)) = popped else { continue };
        for body in &bodies {
            match Envelope::read(body) {
                Ok(envelope) => tracer.run(envelope.run()).stamp(stage, envelope.id),
                Err(_) => tracer.run(RunId::ADHOC).count(garbage, 1),
            }
        }
        let () = redis::cmd("LPUSH").arg(&to).arg(&bodies).query_async(&mut queue).await?;
        handled += bodies.len();
    }
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), tracer.close()).await;
    let unwritten = tracer.observer().figures().stamps_waiting;
    println!("{}", json!({"handled": handled, "unwritten": unwritten}));
    Ok(())
}

/// Whether to go on: no signal has come so far.
async fn goes_on(ended: &mut tokio::signal::unix::Signal) -> bool {
    tokio::select! {
        biased;
        _ = ended.recv() => false,
        () = tokio::task::yield_now() => true,
    }
}
