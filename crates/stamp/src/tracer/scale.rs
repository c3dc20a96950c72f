//! Time scales: between two settings of the log store's clock lies one, and its number tells all processes which event
//! times may be subtracted.
//!
//! The number is the length of one list in the log store, to which the first process that notices a step appends it. A
//! process that has seen as many steps as that list has entries is in step with the others.

use crate::clock::ClockState;
use crate::keys;
use redis::aio::MultiplexedConnection;
use std::time::Duration;

/// Appends a step unless another process has done so. KEYS: the list. ARGV: seconds to live; how many steps came before;
/// the size and the bound of its error, µs.
const NOTE: &str = r#"
if redis.call('LLEN', KEYS[1]) <= tonumber(ARGV[2]) then
    local time = redis.call('TIME')
    local entry = string.format('{"at":"%s.%06d","size":%s,"err":%s}', time[1], time[2], ARGV[3], ARGV[4])
    redis.call('RPUSH', KEYS[1], entry)
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
"#;

/// Which time scale this process's clock tells.
#[derive(Debug, Default)]
pub(super) struct Scale {
    /// The number, and how many steps the clock had seen when it was found.
    known: Option<(u32, u32)>,
}

impl Scale {
    /// The number of the time scale that `clock` tells, once the log store knows it.
    pub(super) async fn number(
        &mut self,
        clock: &ClockState,
        connection: &mut MultiplexedConnection,
        time_to_live: Duration,
    ) -> redis::RedisResult<u32> {
        let (mut number, mut seen) = match self.known {
            Some(known) => known,
            None => (redis::cmd("LLEN").arg(keys::CLOCK_STEPS).query_async(connection).await?, clock.steps),
        };
        while seen < clock.steps {
            let error_us = clock.line.error_ns / 1000 + 1;
            let script = redis::Script::new(NOTE);
            let mut note = script.key(keys::CLOCK_STEPS);
            note.arg(time_to_live.as_secs()).arg(number).arg(clock.step_us).arg(error_us);
            let () = note.invoke_async(connection).await?;
            (number, seen) = (number + 1, seen + 1);
        }
        self.known = Some((number, seen));
        Ok(number)
    }
}
