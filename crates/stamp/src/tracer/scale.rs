//! Time scales: between two settings of the log store's clock lies one, and its number tells all processes which event
//! times may be subtracted.
//!
//! The number is the length of one list in the log store, to which the first process that notices a step appends it. Where a
//! process stands in that list is told by how far its clock was set: one that probes late sees several steps as one, or none
//! where they cancel out, and must not take a place that is not its own.

use crate::clock::{ClockState, Step};
use crate::keys;
use redis::aio::MultiplexedConnection;
use std::time::Duration;

/// Finds the place to which the steps after a known one lead, and appends what is missing. KEYS: the list. ARGV: seconds to
/// live; the number known so far; how far the clock was set since then, and the bound of its error, µs. Of several places that
/// fit, the last is right: others have noted what came after the first.
const PLACE: &str = r#"
local steps = redis.call('LRANGE', KEYS[1], 0, -1)
local known, set, err = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if known > #steps then known = 0 end
local noted, slack = 0, err
local number = math.abs(set) <= 2 * slack and known or nil
for k = known + 1, #steps do
    noted = noted + (tonumber(string.match(steps[k], '"size":(%-?%d+)')) or 0)
    slack = slack + (tonumber(string.match(steps[k], '"err":(%d+)')) or 0)
    if math.abs(noted - set) <= 2 * slack then number = k end
end
if not number then
    local time = redis.call('TIME')
    local entry = string.format('{"at":"%s.%06d","size":%.0f,"err":%.0f}', time[1], time[2], set - noted, slack)
    number = redis.call('RPUSH', KEYS[1], entry)
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return number
"#;

/// Which time scale this process's clock tells.
#[derive(Debug, Default)]
pub(super) struct Scale {
    known: Option<Known>,
}

/// A number, and how far the clock had been set in all when it was found.
#[derive(Debug, Clone, Copy)]
struct Known {
    number: u32,
    stepped: Step,
}

impl Scale {
    /// The number of the time scale that `clock` tells. The log store is asked where the clock was set, and where `looks` says
    /// so: steps that cancel out between two probes are seen by others alone.
    pub(super) async fn number(
        &mut self,
        clock: &ClockState,
        looks: bool,
        connection: &mut MultiplexedConnection,
        time_to_live: Duration,
    ) -> redis::RedisResult<u32> {
        let number = match self.known {
            None => redis::cmd("LLEN").arg(keys::CLOCK_STEPS).query_async(connection).await?,
            Some(Known { number, stepped }) if stepped == clock.stepped && !looks => number,
            Some(Known { number, stepped }) => {
                let script = redis::Script::new(PLACE);
                let mut place = script.key(keys::CLOCK_STEPS);
                place.arg(time_to_live.as_secs()).arg(number).arg(clock.stepped.size_us - stepped.size_us);
                place.arg(clock.stepped.error_us - stepped.error_us).invoke_async(connection).await?
            }
        };
        self.known = Some(Known { number, stepped: clock.stepped });
        Ok(number)
    }
}
