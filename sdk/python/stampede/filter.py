"""The clock filter: from probes to Redis time and a bound of its error. Pure; it knows no socket and no clock.

A probe brackets one reading of Redis TIME between two readings of the local monotonic clock, so that the offset between the clocks is known to
lie in an interval as wide as the round trip. The intervals of a sliding window are carried to the present, widened by what the drift may have
done meanwhile, and intersected. docs/method.md has the assumptions and the sources; the Rust crate `stamp` has the same in clock/filter.rs.
"""

import math
from collections import deque
from typing import NamedTuple

WINDOW_NS = 30_000_000_000  # how long a probe stays in the window
UNKNOWN_DRIFT = 200e-6  # crystals stay within 100 ppm, so that two differ by 200 at most
WANDER = 2e-6  # how far the drift may wander in the time of one window
FASTEST_SLEW = 1000e-6  # the fastest change that is still the work of a clock discipline: a faster one is a step
DRIFT_BASE_NS = 1_000_000_000  # the shortest time between two probes that tell the drift


class Step(NamedTuple):
    """How far the Redis clock was set, forwards, and the bound of that figure's error, µs."""

    size_us: int
    error_us: int


class Line(NamedTuple):
    """Redis time as a linear function of local time."""

    at_ns: int  # the local time that the other fields hold for
    offset_ns: int  # Redis time less local time
    error_ns: int  # the bound of the offset's error
    drift: float  # how much faster the Redis clock runs, as a ratio
    drift_error: float

    def redis_ns(self, local_ns: int) -> tuple[int, int]:
        """Redis time at a local time, and the bound of its error."""
        since = local_ns - self.at_ns
        return local_ns + self.offset_ns + rounded(self.drift * since), self.error_ns + rounded(abs(self.drift_error * since))


class Bounds(NamedTuple):
    """The interval in which one probe has found the offset."""

    at_ns: int
    low_ns: int
    high_ns: int
    width_ns: int


class Rate(NamedTuple):
    """A drift, the bound of its error, and when it was found."""

    drift: float
    error: float
    at_ns: int

    def aged(self, now_ns: int) -> float:
        return self.error + WANDER * (now_ns - self.at_ns) / WINDOW_NS


class Filter:
    """The filter's state: at most the probes of 30 s."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.steps = 0
        self._window: deque[Bounds] = deque()
        self._rate: Rate | None = None  # outlives the probes that told it, but grows less certain

    def add(self, sent_ns: int, received_ns: int, redis_us: int) -> Step | None:
        """Takes a probe in; probes come in the order of `sent_ns`. Tells by how much the Redis clock was set, if it was."""
        round_trip = received_ns - sent_ns
        # TIME is cut to whole microseconds: Redis read it up to 1 µs after what it says. And while the probe was under way the clocks drifted apart.
        drifted = rounded(UNKNOWN_DRIFT * round_trip)
        low, high = redis_us * 1000 - received_ns - drifted, redis_us * 1000 + 1000 - sent_ns + drifted
        bounds = Bounds(sent_ns + round_trip // 2, low, high, high - low)
        agrees, step = self._judge(bounds)
        if not agrees:
            self._window.clear()
            self._rate = None
        if step:
            self.steps += 1
        self._window.append(bounds)
        while bounds.at_ns - self._window[0].at_ns > WINDOW_NS:
            self._window.popleft()
        self.line = self._fit(bounds.at_ns)
        return step

    def _judge(self, bounds: Bounds) -> tuple[bool, Step | None]:
        """Whether a probe agrees with those before it; and where no changed drift explains why not, how far the Redis clock was set."""
        if self.line is None:
            return True, None
        redis_ns, error_ns = self.line.redis_ns(bounds.at_ns)
        expected = redis_ns - bounds.at_ns
        gap = max(bounds.low_ns - (expected + error_ns), expected - error_ns - bounds.high_ns)
        if gap <= 0:
            return True, None
        if gap <= FASTEST_SLEW * (bounds.at_ns - self._window[-1].at_ns):
            return False, None
        return False, Step(cut(middle(bounds) - expected), (error_ns + bounds.width_ns // 2) // 1000 + 2)

    def _fit(self, at_ns: int) -> Line:
        """The line at the newest probe. Where the drift has changed too much for all probes to agree, the older half goes, until the rest agrees; one probe
        always does."""
        while True:
            drift, drift_error = self._drift(at_ns)
            slowest, fastest, floor = drift - drift_error, drift + drift_error, math.floor
            # Rounding, written out: a call for each probe would take as long as the rest.
            low = max([bounds[1] + floor(slowest * (at_ns - bounds[0]) + 0.5) for bounds in self._window])
            high = min([bounds[2] + floor(fastest * (at_ns - bounds[0]) + 0.5) for bounds in self._window])
            if low <= high:
                return Line(at_ns, low + (high - low) // 2, (high - low) // 2 + 1, drift, drift_error)
            for _ in range((len(self._window) + 1) // 2):
                self._window.popleft()
            self._rate = None

    def _drift(self, now_ns: int) -> tuple[float, float]:
        """The drift and the bound of its error: what the window tells, or what an earlier one told where that is still the more certain."""
        told = self._rate_of_window(now_ns)
        if told and (not self._rate or told.error <= self._rate.aged(now_ns)):
            self._rate = told
        if self._rate and self._rate.aged(now_ns) < UNKNOWN_DRIFT:
            return self._rate.drift, self._rate.aged(now_ns)
        return 0.0, UNKNOWN_DRIFT

    def _rate_of_window(self, now_ns: int) -> Rate | None:
        """The drift from the narrowest probe of each half of the window."""
        if not self._window:
            return None
        oldest, newest = self._window[0].at_ns, self._window[-1].at_ns
        half = oldest + (newest - oldest) // 2
        old = min([bounds for bounds in self._window if bounds[0] <= half], key=width)
        new = min([bounds for bounds in self._window if bounds[0] > half] or [old], key=width)
        between = new.at_ns - old.at_ns
        if between < DRIFT_BASE_NS:
            return None
        error = (new.width_ns + old.width_ns) / 2 / between + WANDER
        return Rate((middle(new) - middle(old)) / between, error, now_ns)


def width(bounds: Bounds) -> int:
    return bounds[3]


def middle(bounds: Bounds) -> int:
    return bounds.low_ns + bounds.width_ns // 2


def rounded(ns: float) -> int:
    return math.floor(ns + 0.5)


def cut(ns: int) -> int:
    """Whole microseconds, cut towards zero."""
    return ns // 1000 if ns >= 0 else -(-ns // 1000)
