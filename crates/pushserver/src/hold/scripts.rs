//! The server-side scripts of the holds: what must happen at once or not at all.

use super::Keys;
use redis::aio::MultiplexedConnection;
use service::queue::{GROUP, QueueKind};

/// The code of the error that tells a holder that it has lost its lease.
pub(super) const LOST: &str = "LEASELOST";

/// What both takers begin with. KEYS[1]: the holders. ARGV[1]: the holder.
const FENCE: &str = r"
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) < 0 then return redis.error_reply('LEASELOST somebody else has taken over') end
";

/// Drops the oldest messages of a hold and moves more to it. KEYS[2], [3]: the queue, the hold. ARGV[2], [3]: how many to
/// drop, how many to take at most.
const TAKE: &str = r"
if tonumber(ARGV[2]) > 0 then redis.call('LPOP', KEYS[3], ARGV[2]) end
if tonumber(ARGV[3]) == 0 then return {} end
local taken = redis.call('RPOP', KEYS[2], ARGV[3])
if not taken then return {} end
for from = 1, #taken, 1000 do
    redis.call('RPUSH', KEYS[3], unpack(taken, from, math.min(from + 999, #taken)))
end
return taken
";

/// Everything in a hold. KEYS[2]: the hold.
const HELD: &str = "return redis.call('LRANGE', KEYS[2], 0, -1)";

/// Drops entries of a stream. KEYS[2]: the stream. ARGV[2]: the group; the others: the entries' ids.
const SETTLE: &str = r"
if #ARGV > 2 then
    redis.call('XACK', KEYS[2], unpack(ARGV, 2))
    redis.call('XDEL', KEYS[2], unpack(ARGV, 3))
end
";

/// Raises the scores of the holders in ARGV that have not lost their lease. KEYS[1]: the holders.
const BEAT: &str = r"
for _, name in ipairs(ARGV) do
    local score = redis.call('ZSCORE', KEYS[1], name)
    if score and tonumber(score) > 0 then redis.call('ZINCRBY', KEYS[1], 1, name) end
end
";

/// Moves what a holder holds back to the queue. KEYS[1]: the holders; [2]: the queue; [3]: the hold, of a list.
/// ARGV[1]: the holder; [2]: the score it was last seen with, or nothing when it gives back itself and leaves; [3]: the
/// consumer group of a stream, or nothing. Answers with the number of messages, or -1 when the holder has
/// raised its score in between.
const GIVE_BACK: &str = r"
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if ARGV[2] == '' then
    redis.call('ZREM', KEYS[1], ARGV[1])
elseif not score or tonumber(score) ~= tonumber(ARGV[2]) then
    return -1
else
    redis.call('ZADD', KEYS[1], -1, ARGV[1])
end
local moved = 0
if ARGV[3] == '' then
    while redis.call('LMOVE', KEYS[3], KEYS[2], 'RIGHT', 'RIGHT') do moved = moved + 1 end
    return moved
end
while true do
    local pending = redis.call('XPENDING', KEYS[2], ARGV[3], '-', '+', 1000, ARGV[1])
    if #pending == 0 then break end
    for _, one in ipairs(pending) do
        local entry = redis.call('XRANGE', KEYS[2], one[1], one[1])[1]
        if entry then redis.call('XADD', KEYS[2], '*', unpack(entry[2])) end
        redis.call('XACK', KEYS[2], ARGV[3], one[1])
        redis.call('XDEL', KEYS[2], one[1])
        moved = moved + 1
    end
end
redis.call('XGROUP', 'DELCONSUMER', KEYS[2], ARGV[3], ARGV[1])
return moved
";

/// The scripts, known to Redis by their hashes.
#[derive(Debug, Clone)]
pub(super) struct Scripts {
    take: String,
    held: String,
    settle: String,
    beat: String,
    give_back: String,
}

impl Scripts {
    /// Hands the scripts to Redis, which forgets them when it ends: to be done on each new connection.
    pub(super) async fn load(connection: &mut MultiplexedConnection) -> redis::RedisResult<Self> {
        let mut pipeline = redis::pipe();
        let fenced = |script: &str| format!("{FENCE}{script}");
        for script in [fenced(TAKE), fenced(HELD), fenced(SETTLE), BEAT.to_owned(), GIVE_BACK.to_owned()] {
            pipeline.cmd("SCRIPT").arg("LOAD").arg(script);
        }
        let (take, held, settle, beat, give_back) = pipeline.query_async(connection).await?;
        Ok(Self { take, held, settle, beat, give_back })
    }

    /// Drops `settled` messages of the hold and takes up to `most` from the list.
    pub(super) fn take(&self, keys: &Keys, name: &str, settled: usize, most: usize) -> redis::Cmd {
        let mut command = call(&self.take, &[&keys.holders, &keys.queue.key, &keys.held(name)]);
        command.arg(name).arg(settled).arg(most);
        command
    }

    /// What the hold holds, in order.
    pub(super) fn held(&self, keys: &Keys, name: &str) -> redis::Cmd {
        let mut command = call(&self.held, &[&keys.holders, &keys.held(name)]);
        command.arg(name);
        command
    }

    /// Drops the stream's entries with the ids `settled`.
    pub(super) fn settle<'a>(&self, keys: &Keys, name: &str, settled: impl Iterator<Item = &'a [u8]>) -> redis::Cmd {
        let mut command = call(&self.settle, &[&keys.holders, &keys.queue.key]);
        command.arg(name).arg(GROUP);
        for id in settled {
            command.arg(id);
        }
        command
    }

    /// Raises the scores of these holders.
    pub(super) fn beat<'a>(&self, keys: &Keys, names: impl Iterator<Item = &'a String>) -> redis::Cmd {
        let mut command = call(&self.beat, &[&keys.holders]);
        for name in names {
            command.arg(name);
        }
        command
    }

    /// Moves a hold back to the queue: another's, which was last seen with `score`, or this process's own. Gives the number of
    /// messages, or -1 when the other has turned out to be alive.
    pub(super) async fn give_back<N: redis::FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
        keys: &Keys,
        name: &str,
        score: Option<f64>,
    ) -> redis::RedisResult<N> {
        let mut command = call(&self.give_back, &[&keys.holders, &keys.queue.key, &keys.held(name)]);
        command.arg(name).arg(score.map(|score| score.to_string()).unwrap_or_default());
        command.arg(match keys.queue.kind {
            QueueKind::List => "",
            QueueKind::Stream => GROUP,
        });
        command.query_async(connection).await
    }
}

fn call(hash: &str, keys: &[&str]) -> redis::Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(hash).arg(keys.len()).arg(keys);
    command
}
