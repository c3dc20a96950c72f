"""Stamps for Stampede from Python: counts every message at a stage, and stamps each N-th one with Redis TIME.

    tracer = Tracer("redis://127.0.0.1:6379", "enricher", stages=["enricher"])
    tracer.stamp("enricher", *envelope(body))      # at the moment that the stage is about
    tracer.close()

The wire is described in docs/protocol.md; this module needs redis-py and nothing else. Its stamps are *plain*: `time` is what
Redis TIME said when the script ran there, so a stamp is late by the way from here to Redis. A reading of time.monotonic() at
the event would not mend that: nobody knows how it relates to Redis TIME unless a disciplined clock keeps watching both, which
the Rust crate `stamp` does and this module leaves out.
"""

import json
import logging
import os
import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

FLUSH_EVERY = 0.05  # seconds; a sweep waits for the counts, so they must not be late by much more
BEAT_EVERY = 1.0  # seconds
HEARD_FOR = 5  # seconds until a service that has ended without a word counts as gone
KEEP_FOR = 24 * 60 * 60  # seconds that keys live after their last write
QUIET_AFTER_ERROR = 1.0  # seconds without another attempt, so that a log store that is away does not stall every message

# One script takes the stamp and the counts: a message that is counted has its stamp, which is how a sweep knows that all
# stamps are there. TIME is read in the same script, so that the answer costs no round trip. The log store's clock may have
# been set; `step` says how often it had been, as times from before and after must not be subtracted.
# KEYS: the stage's list, the run's counts, the clock's steps. ARGV: id or '', seconds to live, then names and increments.
SCRIPT = """
if ARGV[1] ~= '' then
    local t, steps = redis.call('TIME'), redis.call('LLEN', KEYS[3])
    local step = steps > 0 and ',"step":' .. steps or ''
    redis.call('RPUSH', KEYS[1], string.format('{"id":%s,"time":"%s.%06d"%s}', ARGV[1], t[1], t[2], step))
    redis.call('EXPIRE', KEYS[1], ARGV[2])
end
for i = 3, #ARGV, 2 do redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[2], ARGV[2])
"""


def envelope(body: bytes) -> tuple[int, str]:
    """The id and the run of a message. Raises ValueError for what is no envelope: a service forwards that unstamped."""
    try:
        message = json.loads(body.decode())
    except RecursionError:
        raise ValueError("the message is nested too deeply") from None
    fields = message if isinstance(message, dict) else {}
    id = next((fields[name] for name in ("id", "MsgID", "msgid", "msg_id") if name in fields), None)
    if type(id) is not int or not 0 <= id < 2**53:  # isinstance would take true for an int
        raise ValueError("the message has no id from 0 to 2^53 - 1")
    run = fields.get("run", "adhoc")
    if not isinstance(run, str) or not re.fullmatch(r"(?!(service|sweep|clock)\Z)[A-Za-z0-9._-]{1,64}", run):
        raise ValueError(f"{run!r:.80} is no run id")
    return id, run


class Tracer:
    """One process's part in tracing; threads may share it.

    An unsampled message costs a dictionary lookup: counts gather, and a thread writes them every 50 ms. A sampled one is
    written before `stamp` returns, with the counts that have gathered, because a plain stamp that waits tells a later time.
    """

    def __init__(self, url: str, service: str, stages: Iterable[str], every: int = 100, version: str = "") -> None:
        """Registers the service. `every` must be that of all other services. Raises RedisError where no Redis answers."""
        # Without retries: a script that is run again after a broken connection could stamp one message twice.
        self._redis = Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))
        self._script = self._redis.register_script(SCRIPT)
        self._every = every
        self._counts: dict[str, dict[str, int]] = {}  # by run and name: what Redis does not know yet
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        pid, instance = os.getpid(), f"{os.getpid()}-{time.time_ns() // 1000:x}"
        self._beat_key = f"trace:service:{service}:{instance}"
        self._beat = {"service": service, "instance": instance, "version": version, "host": socket.gethostname(), "pid": pid}
        self._beat |= {"every": every, "stages": list(stages), "clock": None}  # no disciplined clock: the stamps are plain
        self._write_beat()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_writing, name="stampede", daemon=True)
        self._thread.start()

    def stamp(self, stage: str, id: int, run: str = "adhoc") -> None:
        """Stamps a message at `stage`, now: counted always, written when sampled. It raises nothing when Redis is away."""
        if id % self._every:
            self.count(stage, run=run)
        elif time.monotonic() < self._quiet_until:
            self.count(stage, run=run)
            self.count(f"dropped.{stage}", run=run)
        else:
            # Its count travels with the stamp, and never waits among the others, where the thread could write it first.
            counts = self._take(run)
            counts[stage] += 1
            self._write(run, counts, stage, str(id))

    def count(self, name: str, by: int = 1, run: str = "adhoc") -> None:
        """Adds to a counter: a stage's, or another of docs/protocol.md such as `garbage`."""
        with self._lock:
            self._counts.setdefault(run, defaultdict(int))[name] += by

    def close(self) -> None:
        """Writes what has gathered and signs off."""
        self._ended.set()
        self._thread.join()
        self._flush()
        with suppress(RedisError):  # The beat expires by itself.
            self._redis.delete(self._beat_key)
        self._redis.close()

    def _take(self, run: str) -> dict[str, int]:
        with self._lock:
            return self._counts.pop(run, None) or defaultdict(int)

    def _write(self, run: str, counts: dict[str, int], stage: str = "", id: str = "") -> None:
        keys = [f"trace:{run}:{stage}", f"trace:{run}:counts", "trace:clock:steps"]
        try:
            self._script(keys, [id, KEEP_FOR, *(word for pair in counts.items() for word in pair)])
        except RedisError as error:
            # The counts are kept for the next time. Where Redis had run the script before the connection broke, they count
            # twice: rare, and the price of increments. docs/protocol.md has a way without, HSET of totals.
            logging.getLogger(__name__).warning("stamps are dropped and counts wait: %s", error)
            self._quiet_until = time.monotonic() + QUIET_AFTER_ERROR
            for name, by in [*counts.items(), *([(f"dropped.{stage}", 1)] if id else [])]:
                self.count(name, by, run)

    def _flush(self) -> None:
        for run in tuple(self._counts):
            if counts := self._take(run):
                self._write(run, counts)

    def _write_beat(self) -> None:
        self._redis.set(self._beat_key, json.dumps(self._beat), ex=HEARD_FOR)

    def _keep_writing(self) -> None:
        beat_at = time.monotonic() + BEAT_EVERY
        while not self._ended.wait(FLUSH_EVERY):
            if time.monotonic() >= self._quiet_until:
                self._flush()
            if time.monotonic() >= max(beat_at, self._quiet_until):
                beat_at = time.monotonic() + BEAT_EVERY
                with suppress(RedisError):  # The next one may get through; the flush warns.
                    self._write_beat()
