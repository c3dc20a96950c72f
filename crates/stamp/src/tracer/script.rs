//! The server-side script that takes stamps: one reading of the one clock for all that come with a call.

use super::books::{Book, Mark, Name, Remark};
use crate::clock::ClockState;
use crate::{Traceparent, keys};
use redis::aio::MultiplexedConnection;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Reads TIME and appends the stamps. KEYS: the lists, and last the list of clock steps. ARGV: seconds to live; the number of
/// the time scale (empty for plain stamps, which are told in the present one); then for each list the number of its stamps,
/// and for each stamp its id, its event time in µs (empty for a plain one) and what else its entry has, as it stands there.
const STAMP: &str = r#"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local clock = string.format(',"time":"%s.%06d"', time[1], time[2])
local scale = ARGV[2] == '' and redis.call('LLEN', KEYS[#KEYS]) or tonumber(ARGV[2])
local tail = scale == 0 and '}' or ',"step":' .. scale .. '}'
local arg = 3
for k = 1, #KEYS - 1 do
    local entries = {}
    for n = 1, ARGV[arg] do
        local id, event, rest = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
        local lag = event == '' and '' or string.format(',"lag":%d', now - event)
        entries[n] = '{"id":' .. id .. clock .. lag .. rest .. tail
        arg = arg + 3
    end
    arg = arg + 1
    redis.call('RPUSH', KEYS[k], unpack(entries))
    redis.call('EXPIRE', KEYS[k], ARGV[1])
end
"#;

/// The script, known to the log store by its hash.
pub(super) struct StampScript {
    hash: String,
}

impl StampScript {
    /// Hands the script to the log store.
    pub(super) async fn load(connection: &mut MultiplexedConnection) -> redis::RedisResult<Self> {
        Ok(Self { hash: redis::cmd("SCRIPT").arg("LOAD").arg(STAMP).query_async(connection).await? })
    }

    /// The command that writes `marks`. Event times are told by a clock, in the time scale with the given number; without it the
    /// stamps are plain.
    pub(super) fn call(
        &self,
        marks: &[Mark],
        names: &[Name],
        clock: Option<(&ClockState, u32)>,
        time_to_live: Duration,
    ) -> redis::Cmd {
        let mut lists: HashMap<(usize, *const Book), usize> = HashMap::new();
        let mut groups: Vec<(String, Vec<&Mark>)> = Vec::new();
        for mark in marks {
            let group = match lists.entry((mark.slot, Arc::as_ptr(&mark.book))) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    groups.push((format!("trace:{}:{}", mark.book.run, names[mark.slot].text), Vec::new()));
                    *new.insert(groups.len() - 1)
                }
            };
            groups[group].1.push(mark);
        }
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.hash).arg(groups.len() + 1);
        for (key, _) in &groups {
            call.arg(key);
        }
        call.arg(keys::CLOCK_STEPS).arg(time_to_live.as_secs());
        match clock {
            Some((_, scale)) => call.arg(scale),
            None => call.arg(""),
        };
        for (_, marks) in groups {
            call.arg(marks.len());
            for mark in marks {
                call.arg(mark.id.get());
                let remark = mark.remark.as_deref();
                if let Some(Remark::Foreign { event_us, clock }) = remark {
                    call.arg(event_us).arg(format!(r#","clock":"{clock}""#));
                    continue;
                }
                let context = match remark {
                    Some(Remark::Traceparent(context)) => format!(r#","{}":"{context}""#, Traceparent::NAME),
                    _ => String::new(),
                };
                match clock.map(|(clock, _)| clock.at(mark.at)) {
                    Some(event) => call.arg(event.us).arg(format!(r#","err":{}{context}"#, event.error_us)),
                    None => call.arg("").arg(context),
                };
            }
        }
        call
    }
}
