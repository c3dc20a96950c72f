//! Arrivals in the log store: exact across restarts and processes, at a round trip for each read from the broker.

use super::Arrival;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Script};
use service::{Backoff, Counter, Outage, Part};
use stamp::{RedisUrl, RunId, StoreError, Wait, keys};
use std::collections::HashMap;
use std::fmt;
use tokio::time::sleep;
use tracing::{info, warn};

/// Sets the bits of messages and answers with the bits from before, as a string of 0 and 1; `!` for what cannot be recorded.
/// KEYS: the key of this client's last answer; the bitmaps. ARGV: the number of the batch; seconds to live; then for each
/// message the number of its bitmap and its bit. When the answer to a batch was lost, the batch comes again, and gets the same
/// answer again: plain SETBITs would then find their own bits, and call every message a duplicate.
const RECORD: &str = r"
local batch = ARGV[1] .. ' '
local last = redis.call('GET', KEYS[1])
if last and string.sub(last, 1, #batch) == batch then
    return string.sub(last, #batch + 1)
end
local bits = {}
for n = 3, #ARGV, 2 do
    local bit = redis.pcall('SETBIT', KEYS[tonumber(ARGV[n])], ARGV[n + 1], 1)
    if type(bit) == 'number' then
        bits[#bits + 1] = bit
    elseif string.find(bit.err, 'WRONGTYPE', 1, true) then
        bits[#bits + 1] = '!'
    else
        return bit
    end
end
for k = 2, #KEYS do
    redis.call('EXPIRE', KEYS[k], ARGV[2])
end
local answer = table.concat(bits)
redis.call('SET', KEYS[1], batch .. answer, 'EX', ARGV[2])
return answer
";

/// Why a batch is not recorded yet.
#[derive(Debug, thiserror::Error)]
enum Unrecorded {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log store has answered for {0} messages instead of {1}")]
    Answer(usize, usize),
}

/// Records arrivals for one client.
pub(crate) struct Recorder {
    url: RedisUrl,
    /// No other client, and no earlier life of this one, has the same: its last answer stands under it.
    client: String,
    log_store: Part,
    outage: Outage,
    script: Script,
    connection: Option<MultiplexedConnection>,
    backoff: Backoff,
    reconnects: Counter,
    was_connected: bool,
    batch: u64,
}

impl Recorder {
    pub(crate) fn new(url: RedisUrl, client: String, log_store: Part, outage: Outage, reconnects: Counter) -> Self {
        Self {
            url,
            client,
            log_store,
            outage,
            script: Script::new(RECORD),
            connection: None,
            backoff: Backoff::default(),
            reconnects,
            was_connected: false,
            batch: 0,
        }
    }

    /// Waits until the log store is there.
    pub(super) async fn ready(&mut self) {
        self.record(&mut []).await;
    }

    /// Records arrivals, however long the log store is away.
    pub(super) async fn record(&mut self, arrivals: &mut [Arrival]) {
        self.batch += 1;
        loop {
            match self.attempt(arrivals).await {
                Ok(bits) => {
                    for (arrival, bit) in arrivals.iter_mut().zip(bits.bytes()) {
                        arrival.first = bit != b'1';
                        if bit == b'!' {
                            warn!("an arrival of run {} cannot be recorded: its key holds no bitmap", arrival.run.id());
                        }
                    }
                    self.backoff.reset();
                    if self.outage.ends() {
                        info!("the log store at {} is back", self.url);
                    }
                    self.log_store.set(true);
                    return;
                }
                Err(error) => {
                    if self.outage.begins() {
                        warn!("nothing is received until arrivals can be recorded: {error}");
                    }
                    self.log_store.set(false);
                    self.connection = None;
                    sleep(self.backoff.next_delay()).await;
                }
            }
        }
    }

    async fn attempt(&mut self, arrivals: &[Arrival]) -> Result<String, Unrecorded> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connection = none.insert(self.url.connect(Wait::BRIEFLY).await?);
                if std::mem::replace(&mut self.was_connected, true) {
                    self.reconnects.inc();
                }
                connection
            }
        };
        if arrivals.is_empty() {
            return Ok(String::new());
        }
        let mut call = self.script.key(format!("stampede:arrivals:{}", self.client));
        call.arg(self.batch).arg(keys::DEFAULT_TTL_SECONDS);
        let mut numbers: HashMap<(&RunId, u64), usize> = HashMap::new();
        for arrival in arrivals {
            let (run, id) = (arrival.run.id(), arrival.id.get());
            let block = id / keys::ARRIVALS_PER_BLOCK;
            // Lua counts from 1, and the first key is not a bitmap.
            let next = numbers.len() + 2;
            let number = *numbers.entry((run, block)).or_insert_with(|| {
                call.key(keys::arrived(run, block));
                next
            });
            call.arg(number).arg(id % keys::ARRIVALS_PER_BLOCK);
        }
        let failed = |error: RedisError| self.url.failed(error);
        let bits: String = call.invoke_async(connection).await.map_err(failed)?;
        if bits.len() == arrivals.len() { Ok(bits) } else { Err(Unrecorded::Answer(bits.len(), arrivals.len())) }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("url", &self.url.to_string())
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
