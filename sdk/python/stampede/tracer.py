"""A process's part in tracing."""

import atexit
import os
import threading
import time
import weakref
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


EXIT_WITHIN = 1.0  # seconds that the end of a process waits for a tracer that was not closed


class Tracer:
    """Counts messages and stamps the sampled ones, without ever making a message wait for the log store. Threads may share it.

    `stamp` costs two dictionary lookups under a lock, and for a sampled message a place in a bounded buffer. A thread writes what has gathered every 100 ms, and
    another one probes Redis's clock. Threads do not survive fork(): in the new process the tracer begins anew with the first message, under a name of its own.
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
        if any(type(number) is not int or number < 1 for number in (every, expire, buffer)):
            raise ValueError("every, expire and buffer are whole numbers from 1 up")
        if clock not in ("disciplined", "plain"):
            raise ValueError(f"{clock!r} is no clock: choose disciplined or plain")
        if not service or ":" in service:
            raise ValueError(f"{service!r} is no name of a service: give one without a colon")
        if isinstance(stages, str):
            raise ValueError(f"stages is the list of the stages that this process stamps: write [{stages!r}]")
        self._store = Store(url, ca_file)
        self._service, self._stages, self._every, self._expire, self._buffer = service, list(stages), every, expire, buffer
        self._version, self._disciplined = version or f"stampede-python {VERSION}", clock == "disciplined"
        self._beginning = threading.Lock()
        self._part: Part | None = Part(self)
        tracers.add(self)

    def stamp(self, stage: str, id: int, run: str = ADHOC, at: int | None = None) -> None:
        """Stamps a message at `stage`, now, or at a `moment()` from before: counted always, written when sampled. Raises ValueError for a name that is none, and nothing
        where the log store is away."""
        part = self._part or self._begin()
        if part.books.stamp(stage, id, run, at):
            part.writer.wake()

    def count(self, name: str, by: int = 1, run: str = ADHOC) -> None:
        """Adds to a counter that is no stage (docs/protocol.md), such as `garbage`."""
        (self._part or self._begin()).books.count(name, by, run)

    def now(self) -> RedisTime | None:
        """The present moment in Redis time; None before the first probe, and with the plain clock."""
        clock = (self._part or self._begin()).clock
        state = clock.state if clock else None
        return state.at(time.monotonic_ns()) if state else None

    def flush(self, within: float = 5.0) -> bool:
        """Waits until everything stamped and counted so far is in the log store, at most for so many seconds. Whether it is."""
        return self._part.writer.flush(within) if self._part else True

    def close(self, within: float = 5.0) -> int:
        """Writes what is left, for at most so many seconds, and signs off. How many stamps the log store is not known to have: dropped ones, and those that still waited. What is stamped later is lost."""
        if not self._part:
            return 0
        self._part.writer.close(within)
        if self._part.clock:
            self._part.clock.close()
        return self._part.books.unwritten()

    def _begin(self) -> "Part":
        with self._beginning:
            part = self._part = self._part or Part(self)
        return part

    def _forget(self) -> None:
        """After fork(): threads are gone, a lock may be held by one of them for ever, and what waits is written by the process that it came from."""
        self._beginning, self._part = threading.Lock(), None

    def __enter__(self) -> "Tracer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Part:
    """What a tracer has in one process."""

    def __init__(self, tracer: Tracer) -> None:
        # No other process ever has this name, in whatever container it has whatever process id.
        instance = f"{os.getpid()}-{time.time_ns() // 1000:x}-{os.urandom(3).hex()}"
        self.books = Books(list(tracer._stages), tracer._every, tracer._buffer)
        self.clock = RedisClock(tracer._store) if tracer._disciplined else None
        beat = Beat(tracer._service, instance, tracer._version, tracer._every)
        self.writer = Writer(tracer._store, self.books, self.clock, beat, instance, tracer._expire)


tracers: weakref.WeakSet[Tracer] = weakref.WeakSet()


def forget() -> None:
    for tracer in list(tracers):
        tracer._forget()


def end() -> None:
    """At the end of a process that has not closed its tracers, whose threads end with it: what the log store takes at once is not lost."""
    for tracer in list(tracers):
        tracer.close(EXIT_WITHIN)


atexit.register(end)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork()
    os.register_at_fork(after_in_child=forget)
