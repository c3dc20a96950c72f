//! What a line of the vectors asks, and what this crate says to it. `tests/vectors.rs` has this file, too.

use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};
use stamp::Envelope;
use stamp::clock::{Filter, Probe};
use std::error::Error;

/// Probes, and the local times that Redis time is asked for once all have been taken in.
#[derive(Deserialize)]
pub(crate) struct Probes {
    probes: Vec<(i64, i64, i64)>,
    ask: Vec<i64>,
}

/// The id and the run of a message in base64, or what is wrong with it.
pub(crate) fn envelope(base64: &str) -> Result<Value, Box<dyn Error>> {
    let body = base64::engine::general_purpose::STANDARD.decode(base64)?;
    Ok(match Envelope::read(&body) {
        Ok(envelope) => json!({"id": envelope.id.get(), "run": envelope.run()}),
        Err(error) => json!({"error": error.to_string()}),
    })
}

/// Steps, and for each local time Redis time and the bound of its error, ns. Redis times are told from the first probe's on.
pub(crate) fn filter(line: &str) -> Result<Value, Box<dyn Error>> {
    let Probes { probes, ask } = serde_json::from_str(line)?;
    let mut filter = Filter::default();
    for (sent_ns, received_ns, redis_us) in &probes {
        filter.add(&Probe { sent_ns: *sent_ns, received_ns: *received_ns, redis_us: *redis_us });
    }
    let (Some(line), Some((_, _, first_us))) = (filter.line(), probes.first()) else { return Err("no probe".into()) };
    let answers: Vec<(i64, i64)> = ask
        .into_iter()
        .map(|local_ns| line.redis_ns(local_ns))
        .map(|(redis_ns, error_ns)| (redis_ns - 1000 * first_us, error_ns))
        .collect();
    Ok(json!({"steps": filter.steps(), "answers": answers}))
}
