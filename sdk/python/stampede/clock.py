"""The disciplined clock of a process: a thread that probes Redis and feeds the filter.

A thread and a connection of its own, so that no probe waits behind a write. Python runs one thread at a time: while others compute, the clock's has to wait, and
most probes take some milliseconds. Where the kernel tells when the answer came (Linux, without TLS), that counts. Elsewhere the readings bracket the answer all the
same, so that the bound stays true; but it is wide until a probe has been quick.
"""

import logging
import threading
import time
from typing import NamedTuple

from .filter import Filter, Line, Step
from .store import Link, Store, StoreAway

BURST = 16  # probes at the start, one right after the other
EARLY_PERIOD, EARLY_PERIODS = 0.01, 32  # seconds: under load it takes some dozen probes until one is quick
PERIOD, PROBES_PER_PERIOD = 0.1, 2  # from then on; the first probe warms the way for the second

log = logging.getLogger("stampede")


class RedisTime(NamedTuple):
    """A moment in Redis time, µs since 1970-01-01 UTC, and the bound of its error, µs, rounded up."""

    us: int
    error_us: int


class ClockState(NamedTuple):
    """What the clock knows at one moment. It converts any number of moments alike, in one time scale."""

    line: Line
    steps: int  # how often the Redis clock has been set since this clock started
    stepped: Step  # how far in all: the sum of the steps, and of the bounds of their errors

    def at(self, local_ns: int) -> RedisTime:
        """A reading of time.monotonic_ns() in Redis time."""
        redis_ns, error_ns = self.line.redis_ns(local_ns)
        # To the nearest microsecond: the filter already allows for TIME being cut.
        return RedisTime((redis_ns + 500) // 1000, -(-max(error_ns, 0) // 1000))


class RedisClock:
    """Probes a Redis server, which need not be there yet, until it is closed."""

    def __init__(self, store: Store) -> None:
        self.state: ClockState | None = None  # None before the first probe
        self._store = store
        self._filter = Filter()
        self._looks_again = self._closed = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._discipline, name="stampede-clock", daemon=True)
        self._thread.start()

    def look_again(self) -> None:
        """Makes a new connection before the next probe: another server may have taken over, with a clock of its own."""
        self._looks_again = True

    def close(self) -> None:
        self._ended.set()

    def _discipline(self) -> None:
        link: Link | None = None
        away, probes, early = False, BURST, EARLY_PERIODS
        while not self._ended.is_set():
            if self._looks_again and link:
                link.close()
                link = None
            self._looks_again = False
            try:
                link = link or self._store.connect().time_arrivals()
                for _ in range(probes):
                    self._take(*probe(link))
                probes = PROBES_PER_PERIOD
                if away:
                    log.info("the redis clock is back")
                away = False
            except Exception as error:
                if not away:
                    # Whatever else goes wrong must not end this thread: nobody would hear of it.
                    log.warning("the clock runs on unwatched: %s", self._store.told(error), exc_info=not isinstance(error, StoreAway))
                if link:
                    link.close()
                link, away = None, True
            self._ended.wait(EARLY_PERIOD if early > 0 else PERIOD)
            early -= 1
        if link:
            link.close()

    def _take(self, sent_ns: int, received_ns: int, redis_us: int) -> None:
        step = self._filter.add(sent_ns, received_ns, redis_us)
        stepped = self.state.stepped if self.state else Step(0, 0)
        if step:
            log.warning("the redis clock was set by %d µs", step.size_us)
            stepped = Step(stepped.size_us + step.size_us, stepped.error_us + step.error_us)
        if self._filter.line:
            self.state = ClockState(self._filter.line, self._filter.steps, stepped)


def probe(link: Link) -> tuple[int, int, int]:
    """Local time before TIME was sent and after its answer came, ns, and what Redis said, µs since 1970-01-01 UTC. Raises StoreAway."""
    command = link.pack("TIME")
    wall_sent_ns, sent_ns = time.time_ns(), time.monotonic_ns()
    link.send(command)
    arrived_ns = link.await_bytes()
    # What takes time in Python comes after the second reading.
    wall_received_ns, received_ns = time.time_ns(), time.monotonic_ns()
    received_ns -= waited(arrived_ns, wall_sent_ns, wall_received_ns, received_ns - sent_ns)
    seconds, micros = link.answer()
    return sent_ns, received_ns, int(seconds) * 1_000_000 + int(micros)


def waited(arrived_ns: int | None, wall_sent_ns: int, wall_received_ns: int, elapsed_ns: int) -> int:
    """How long an answer that the kernel has timed had waited until it was seen, ns; 0 where the wall clock, which the kernel takes, was set meanwhile."""
    was_set = wall_received_ns - wall_sent_ns > elapsed_ns + 1000  # the readings of the two clocks are not made at once
    return wall_received_ns - arrived_ns if arrived_ns and wall_sent_ns <= arrived_ns <= wall_received_ns and not was_set else 0
