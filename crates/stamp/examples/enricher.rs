//! A hop of a pipeline: moves messages from one Redis list to another, adds a field, and stamps each on its way. Ctrl-C ends it.
//!
//!     cargo run -p stamp --example enricher -- --from stampede:queue --to stampede:enriched

use clap::Parser;
use stamp::{Envelope, RedisUrl, RunId, SampleEvery, Stage, Tracer, TracerOptions, Wait};
use std::error::Error;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
struct Arguments {
    /// Holds the queues, and takes the stamps
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    redis: RedisUrl,
    #[arg(long, default_value = "stampede:queue")]
    from: String,
    #[arg(long, default_value = "stampede:enriched")]
    to: String,
    /// Stamp 1 message in N
    #[arg(long, default_value_t)]
    every: SampleEvery,
}

/// The user's own work, here a new field. The other bytes stay as they are.
fn enrich(body: &[u8]) -> Vec<u8> {
    let body = body.trim_ascii_end();
    [&body[..body.len() - 1], br#","enriched":true}"#].concat()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { redis, from, to, every } = Arguments::parse();
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let tracer = Tracer::start(&redis, TracerOptions { every, ..TracerOptions::default() });
    let (stage, garbage) = (tracer.stage(&"enricher".parse::<Stage>()?), tracer.counter("garbage"));
    let mut queue = redis.connect(Wait::Forever).await?;
    let mut pop = redis::cmd("BLMPOP");
    pop.arg(0.5).arg(1).arg(from).arg("RIGHT").arg("COUNT").arg(64);
    loop {
        // A pop is not abandoned while Redis may still answer: what it takes would be lost.
        let popped: Option<(String, Vec<Vec<u8>>)> = pop.query_async(&mut queue).await?;
        let bodies = popped.map_or_else(Vec::new, |(_, bodies)| bodies);
        let enriched = bodies.into_iter().map(|body| {
            let Ok(envelope) = Envelope::read(&body) else {
                tracer.run(RunId::ADHOC).count(garbage, 1);
                return body;
            };
            tracer.run(envelope.run()).stamp(stage, envelope.id);
            enrich(&body)
        });
        let enriched: Vec<_> = enriched.collect();
        if !enriched.is_empty() {
            let () = redis::cmd("LPUSH").arg(&to).arg(enriched).query_async(&mut queue).await?;
        }
        tokio::select! {
            biased;
            _ = terminated.recv() => break,
            _ = interrupted.recv() => break,
            () = std::future::ready(()) => {}
        }
    }
    tracer.close().await;
    Ok(())
}
