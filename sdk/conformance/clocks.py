"""Is the stated bound of the clock's error true? And which time scale is told when the log store's clock is set?"""

import json
import subprocess
import time

from hops import Hop, expect, message, push, stamps, wait_for_out
from sdks import Sdk
from servers import Clock, Server, wait_until

QUICK_NS = 20_000  # a call that took no longer tells its error well enough for a table
HOUR_US = 3600 * 1_000_000


def host_offset_ns() -> int:
    """CLOCK_REALTIME, which the Redis of this host reads, less CLOCK_MONOTONIC: the quickest of some readings."""
    readings = []
    for _ in range(100):
        before, real, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        readings.append((after - before, real - (before + after) // 2))
    return min(readings)[1]


def truth(sdk: Sdk, seconds: float, under: str) -> str:
    """Asks for Redis time every 2 ms, and holds each answer against this host's clock. `under`: idle, busy (the process itself), loaded (its log store, too)."""
    options = [] if under == "idle" else ["--busy"]
    with Server() as server:
        load = None
        if under == "loaded":
            command = ["redis-benchmark", "-p", str(server.port), "-t", "lpush,get", "-c", "20", "-n", "100000000", "-q"]
            load = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            before_ns = host_offset_ns()
            told = [json.loads(line) for line in sdk.ask("clock", "--redis", server.url, "--seconds", str(seconds), *options)]
            after_ns = host_offset_ns()
        finally:
            if load:
                load.kill()
                load.wait()
    if len(told) < seconds * 20:
        raise AssertionError(f"only {len(told)} answers in {seconds} s")
    # The host's own clock may be slewed meanwhile, and the readings of it take some time.
    slack_ns = abs(after_ns - before_ns) + 200
    errors, bounds = [], []
    for answer in told:
        earliest, latest = (int(answer[name]) + before_ns for name in ("before_ns", "after_ns"))
        told_ns, bound_ns = answer["us"] * 1000, answer["error_us"] * 1000
        # What is told is rounded to whole microseconds.
        if not earliest - bound_ns - slack_ns - 500 <= told_ns <= latest + bound_ns + slack_ns + 500:
            off_us = max(earliest - told_ns, told_ns - latest) / 1000
            raise AssertionError(f"off by {off_us:.1f} µs, and said to be so by {answer['error_us']} µs at most")
        bounds.append(answer["error_us"])
        if latest - earliest <= QUICK_NS:
            errors.append(abs(told_ns - (earliest + latest) / 2) / 1000)
    return f"off by {spread(errors)} µs, bound {spread(bounds)} µs, {len(told)} answers"


def spread(values: list[float]) -> str:
    """Median, 99th percentile and maximum."""
    ordered = sorted(values)
    return " / ".join(f"{ordered[min(int(len(ordered) * share), len(ordered) - 1)]:.0f}" for share in (0.5, 0.99, 1)) if ordered else "n/a"


def steps(sdk: Sdk) -> str:
    """The log store's clock is set while two processes stamp, twice: both tell the same scales, and each event time is right in its own. Then a third one starts."""
    ahead_us = [0, HOUR_US, HOUR_US // 2]
    next_id = 0
    with Clock() as clock, Server() as queue, Server(clock) as log_store:
        begin_us = time.time_ns() // 1000

        def stamped(number: int) -> None:
            nonlocal next_id
            push(queue, [message(id, "adhoc") for id in range(next_id, next_id + number)])
            next_id += number
            wait_for_out(queue, next_id)

        def beats() -> list[dict]:
            read = (log_store.redis.get(key) for key in log_store.redis.keys("trace:service:*"))
            return [json.loads(beat) for beat in read if beat]

        with Hop(sdk, queue.url, log_store.url, 1) as first, Hop(sdk, queue.url, log_store.url, 1) as second:
            for known, ahead in enumerate(ahead_us):
                clock.set(ahead * 1000)
                # From before the step is noticed, too: such stamps are told in the scale before.
                stamped(200)
                wait_until(lambda: len(read := beats()) == 2 and all(beat["clock"] and beat["clock"]["steps"] == known for beat in read), f"two processes see {known} steps")
                stamped(200)
                wait_until(lambda: len(stamps(log_store, "adhoc")) == next_id, "the stamps are there")
            with Hop(sdk, queue.url, log_store.url, 1) as third:
                ends = [hop.end() for hop in (first, second)]
                stamped(200)
                ends.append(third.end())
        expect("messages handled", sum(end["handled"] for end in ends), next_id)
        listed = [json.loads(entry) for entry in log_store.redis.lrange("trace:clock:steps", 0, -1)]
        expect("keys of a step", [step.keys() for step in listed], [{"at", "size", "err"}] * 2)
        for step, made_us in zip(listed, (HOUR_US, -HOUR_US // 2), strict=True):
            if abs(step["size"] - made_us) > step["err"]:
                raise AssertionError(f"the clock was set by {made_us} µs, and {step} tells another size")
        end_us = time.time_ns() // 1000
        read = stamps(log_store, "adhoc")
        expect("stamps", sorted(stamp["id"] for stamp in read), list(range(next_id)))
        for stamp in read:
            event_us = stamp["event_us"] - ahead_us[stamp.get("step", 0)]
            if not begin_us - stamp["err"] <= event_us <= end_us + stamp["err"]:
                raise AssertionError(f"{stamp} is not told in its time scale")
        expect("the scale of a process that starts now", {stamp.get("step") for stamp in read if stamp["id"] >= next_id - 200}, {2})
        plain(sdk, queue, log_store)
    return f"{next_id} stamps, 2 steps, 3 processes"


def plain(sdk: Sdk, queue: Server, log_store: Server) -> None:
    """Plain stamps are told in the present scale."""
    with Hop(sdk, queue.url, log_store.url, 1, "plain", "later") as hop:
        push(queue, [message(7, "plain")])
        wait_until(lambda: stamps(log_store, "plain", "later"), "a plain stamp is there")
        hop.end()
    expect("the scale of a plain stamp", [stamp.get("step") for stamp in stamps(log_store, "plain", "later")], [2])
