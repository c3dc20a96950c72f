"""A process's part in tracing."""

import os
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Literal

from .beat import Beat
from .books import Books
from .clock import RedisClock, RedisTime
from .names import ADHOC
from .store import Store
from .version import VERSION
from .writer import Writer

moment = time.monotonic_ns
"""The present moment on this process's own clock, to be given to `stamp` as `at` later."""


class Tracer:
    """Counts messages and stamps the sampled ones, without ever making a message wait for the log store. Threads may share it.

    `stamp` costs two dictionary lookups under a lock, and for a sampled message a place in a bounded buffer. A thread writes what has gathered every 100 ms, and
    another one probes Redis's clock. Threads do not survive fork(): a server that forks its workers makes a tracer in each of them.
    """

    def __init__(
        self,
        url: str,
        service: str,
        stages: Iterable[str],
        every: int = 100,
        version: str = "",
        clock: Literal["disciplined", "plain"] = "disciplined",
        expire: int = 24 * 60 * 60,
        buffer: int = 131_072,
        ca_file: str | None = None,
    ) -> None:
        """Registers the service with the log store at `url`, which need not be there yet.

        `every`: 1 message in so many is stamped; the same in all services. `version`: of the service; told in its beat, with this package's where it is empty.
        `clock`: "plain" takes Redis TIME when the log store takes a stamp for the event's time, and tells no error. `expire`: seconds that keys live after their last
        write. `buffer`: stamps that may wait for the log store; more are dropped, and counted as `dropped.<stage>`. `ca_file`: certificate authorities for rediss://,
        in PEM, instead of the system's. Raises ValueError for what is wrong with these.
        """
        if every < 1 or expire < 1 or buffer < 1:
            raise ValueError("every, expire and buffer are whole numbers from 1 up")
        if clock not in ("disciplined", "plain"):
            raise ValueError(f"{clock!r} is no clock: choose disciplined or plain")
        if not service or ":" in service:
            raise ValueError(f"{service!r} is no name of a service: give one without a colon")
        store = Store(url, ca_file)
        # No other process ever has this name, in whatever container it has whatever process id.
        instance = f"{os.getpid()}-{time.time_ns() // 1000:x}-{os.urandom(3).hex()}"
        self._books = Books(list(stages), every, buffer)
        self._clock = RedisClock(store) if clock == "disciplined" else None
        beat = Beat(service, instance, version or f"stampede-python {VERSION}", every)
        self._writer = Writer(store, self._books, self._clock, beat, instance, expire)

    def stamp(self, stage: str, id: int, run: str = ADHOC, at: int | None = None) -> None:
        """Stamps a message at `stage`, now, or at a `moment()` from before: counted always, written when sampled. Raises ValueError for a name that is none, and nothing
        where the log store is away."""
        if self._books.stamp(stage, id, run, at):
            self._writer.wake()

    def count(self, name: str, by: int = 1, run: str = ADHOC) -> None:
        """Adds to a counter that is no stage (docs/protocol.md), such as `garbage`."""
        self._books.count(name, by, run)

    def now(self) -> RedisTime | None:
        """The present moment in Redis time; None before the first probe, and with the plain clock."""
        state = self._clock.state if self._clock else None
        return state.at(time.monotonic_ns()) if state else None

    def flush(self, within: float = 5.0) -> bool:
        """Waits until everything stamped and counted so far is in the log store, at most for so many seconds. Whether it is."""
        return self._writer.flush(within)

    def close(self, within: float = 5.0) -> int:
        """Writes what is left, for at most so many seconds, and signs off. How many stamps could not be written: 0 where the log store was there. What is stamped later is lost."""
        self._writer.close(within)
        if self._clock:
            self._clock.close()
        return self._books.unwritten()

    def __enter__(self) -> "Tracer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
