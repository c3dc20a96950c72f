"""What becomes of stamps and counts when the log store is away, begins anew, or its answers are lost? Messages pass all the same; nothing is there twice; and what
is missing is told."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hops import STAGE, Hop, counts, expect, feed, passed, stamps
from sdks import Sdk
from servers import Proxy, Server, wait_until

EVERY = 2
UNCONFIRMED = 64  # stamps of one call: so many may be told as dropped, and be there all the same, for each answer that was lost


def frozen(sdk: Sdk, seconds: float) -> str:
    """The log store hangs, and goes on: what it was sent meanwhile it may do then."""

    def fault(log_store: Server) -> Iterator[None]:
        log_store.freeze()
        yield
        log_store.thaw()

    return away(sdk, seconds, fault)


def killed(sdk: Sdk, seconds: float) -> str:
    """The log store is killed, and comes back with all that it had confirmed."""

    def fault(log_store: Server) -> Iterator[None]:
        log_store.kill()
        yield
        log_store.start()

    return away(sdk, seconds, fault)


def full(sdk: Sdk, seconds: float) -> str:
    """The log store has no room for the moment, and evicts nothing: what it refuses waits."""

    def fault(log_store: Server) -> Iterator[None]:
        log_store.redis.config_set("maxmemory", 1)
        yield
        log_store.redis.config_set("maxmemory", 0)

    said = away(sdk, seconds, fault, lost=0)
    expect("what became of stamps", said.partition(", ")[2], "0 stamps missing, 0 told")
    return said


def away(sdk: Sdk, seconds: float, fault: Callable[[Server], Iterator[None]], lost: int = 1) -> str:
    with Server() as queue, Server(durable=True) as log_store, Hop(sdk, queue.url, log_store.url, EVERY) as hop, fed(queue, seconds + 2) as feeder:
        wait_until(lambda: stamps(log_store, "adhoc"), "the first stamps are there")
        parts = fault(log_store)
        next(parts)
        before, again = queue.redis.llen("out"), threading.Event()
        timer = threading.Timer(seconds, again.set)
        timer.start()
        # More than any connection's buffer holds back.
        wait_until(lambda: queue.redis.llen("out") > before + 1000, "messages pass while the log store is away")
        again.wait()
        next(parts, None)
        return judge(hop, feeder, queue, log_store, lost)


def lost_answers(sdk: Sdk, number: int) -> str:
    """The script has run, and its answer is lost with the connection."""
    with Server() as queue, Server() as log_store, Proxy(log_store) as proxy, Hop(sdk, queue.url, proxy.url, EVERY) as hop, fed(queue, number * 0.5 + 1) as feeder:
        for _ in range(number):
            proxy.swallow()
            # Once it writes again: else it would only wait longer and longer between two attempts.
            before = counts(log_store, "adhoc")[STAGE]
            wait_until(lambda: counts(log_store, "adhoc")[STAGE] > before, "it writes again")
        said = judge(hop, feeder, queue, log_store, lost=number)
        if not counts(log_store, "adhoc")[f"dropped.{STAGE}"]:
            raise AssertionError("no stamp was told as dropped although it was never confirmed")
        return said


@contextmanager
def fed(queue: Server, seconds: float) -> Iterator[threading.Thread]:
    """Messages come for so many seconds."""
    feeder = threading.Thread(target=feed, args=(queue, 0, seconds))
    feeder.start()
    try:
        yield feeder
    finally:
        feeder.join()


def judge(hop: Hop, feeder: threading.Thread, queue: Server, log_store: Server, lost: int) -> str:
    """Ends the hop once all that was fed has passed, and holds the log store against it."""
    feeder.join()
    wait_until(lambda: not queue.redis.llen("in"), "all has been taken")
    told = hop.end()
    out = len(passed(queue))
    expect("messages handled", told["handled"], out)
    counted = counts(log_store, "adhoc")
    expect("messages counted", counted[STAGE], out)
    ids = [stamp["id"] for stamp in stamps(log_store, "adhoc")]
    expect("messages stamped twice", len(ids) - len(set(ids)), 0)
    expected = set(range(0, out, EVERY))
    expect("stamps of messages that are not sampled", set(ids) - expected, set())
    missing, dropped = len(expected) - len(ids), counted[f"dropped.{STAGE}"]
    if not missing <= dropped <= missing + lost * UNCONFIRMED:
        raise AssertionError(f"{missing} stamps are missing, and {dropped} are told to be")
    # Some SDKs take what was not confirmed for unwritten, too.
    if told["unwritten"] not in (0, dropped):
        raise AssertionError(f"{told['unwritten']} stamps are told to be unwritten")
    return f"{out} messages, {missing} stamps missing, {dropped} told"
