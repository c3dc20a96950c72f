//! What is no message: counted each time, logged now and then.

use stamp::{CounterHandle, EnvelopeError, RunId, Tracer};
use tracing::warn;

/// Counts payloads that are no envelope, as `garbage` of the run `adhoc`. It logs the 1st, 2nd, 4th, 8th … of them: a
/// flood of garbage must not become a flood of log lines.
#[derive(Debug, Clone)]
pub struct Garbage {
    place: &'static str,
    tracer: Tracer,
    counter: CounterHandle,
    seen: u64,
}

impl Garbage {
    /// For the payloads that are found in `place`, for example `the queue`.
    pub fn new(place: &'static str, tracer: &Tracer) -> Self {
        Self { place, tracer: tracer.clone(), counter: tracer.counter("garbage"), seen: 0 }
    }

    /// Notes one.
    pub fn found(&mut self, error: &EnvelopeError) {
        self.tracer.run(RunId::ADHOC).count(self.counter, 1);
        self.seen += 1;
        if self.seen.is_power_of_two() {
            warn!("not an envelope, in {}, and not stamped ({} so far): {error}", self.place, self.seen);
        }
    }
}
