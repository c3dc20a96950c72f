"""A hop under test: one process of an SDK between two lists, what is sent through it, and what must then be in the log store."""

import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from redis import Redis
from sdks import Sdk
from servers import DEADLINE, Server, wait_until

STAGE = "hop"
GARBAGE = [b"", b"no json", b'{"id":-1}', b'{"id":"7"}', b'{"id":7,"run":"a b"}', b"\xff\xfe", b'{"id":7,"id":7}']


class Hop:
    """A running hop, from the list `in` to the list `out`."""

    def __init__(
        self,
        sdk: Sdk,
        queue: str,
        log_store: str,
        every: int,
        clock: str = "disciplined",
        stage: str = STAGE,
        source: str = "in",
        sink: str = "out",
        log: IO[str] | int = subprocess.DEVNULL,
        certificate: Path | None = None,
    ) -> None:
        """Starts it. With a certificate, that is the only one of which a log store's must come."""
        lists = ["--queue", queue, "--from", source, "--to", sink]
        options = ["--stage", stage, "--every", str(every), "--clock", clock, "--service", f"{sdk.name}-{stage}"]
        # What takes the place of the system's own authorities, for OpenSSL, Go and rustls, and for Node.js.
        more = {"SSL_CERT_FILE": str(certificate), "NODE_EXTRA_CA_CERTS": str(certificate)} if certificate else {}
        self._process = sdk.start("hop", "--redis", log_store, *lists, *options, log=log, more=more)
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line or not json.loads(line).get("ready"):
            raise AssertionError(f"the hop did not say that it is ready, but {line!r}")

    def end(self) -> dict[str, int]:
        """Ends it by SIGTERM, and tells what it said."""
        self._process.send_signal(signal.SIGTERM)
        try:
            told, _ = self._process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError("the hop did not end") from None
        if self._process.returncode:
            raise AssertionError(f"the hop ended with exit code {self._process.returncode}")
        result: dict[str, int] = json.loads(told.splitlines()[-1])
        return result

    def __enter__(self) -> "Hop":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def message(id: int, run: str) -> bytes:
    return json.dumps({"data": "x" * 32, "id": id} | ({} if run == "adhoc" else {"run": run})).encode()


def messages(number: int, runs: Iterable[str], garbage: int) -> list[bytes]:
    """So many messages with ids from 0 up, in each of the runs, in turn, with garbage among them."""
    bodies = [message(id, run) for id in range(number) for run in runs]
    for place in range(garbage):
        bodies.insert(place * len(bodies) // garbage, GARBAGE[place % len(GARBAGE)])
    return bodies


def push(queue: Server, bodies: list[bytes]) -> None:
    with Redis.from_url(queue.url) as redis:
        for at in range(0, len(bodies), 1000):
            redis.lpush("in", *bodies[at : at + 1000])


def passed(queue: Server) -> list[bytes]:
    """What has come out, the oldest first."""
    with Redis.from_url(queue.url) as redis:
        return redis.lrange("out", 0, -1)[::-1]


def wait_for_out(queue: Server, number: int) -> None:
    wait_until(lambda: queue.redis.llen("out") >= number, f"{number} messages have passed")


def feed(queue: Server, first: int, seconds: float, run: str = "adhoc", rate: int = 2000) -> int:
    """Pushes messages with ids from `first` on, for so many seconds; tells the id after the last."""
    begin, id = time.monotonic(), first
    with Redis.from_url(queue.url) as redis:
        while (now := time.monotonic() - begin) < seconds:
            due = first + int(now * rate)
            if due > id:
                redis.lpush("in", *(message(number, run) for number in range(id, due)))
                id = due
            time.sleep(0.005)
    return id


def counts(log_store: Server, run: str) -> Counter[str]:
    """A run's counters, summed over their writers."""
    sums: Counter[str] = Counter()
    for field, count in log_store.redis.hgetall(f"trace:{run}:counts").items():
        sums[field.split("@")[0]] += int(count)
    return sums


def writers(log_store: Server, run: str) -> int:
    return len({field.partition("@")[2] for field in log_store.redis.hkeys(f"trace:{run}:counts")})


def stamps(log_store: Server, run: str, stage: str = STAGE) -> list[dict[str, int]]:
    """A stage's stamps, each checked for its form: `event_us` is the event's time."""
    read = []
    for entry in log_store.redis.lrange(f"trace:{run}:{stage}", 0, -1):
        stamp = json.loads(entry)
        if not stamp.keys() >= {"id", "time"} or not stamp.keys() <= {"id", "time", "lag", "err", "step"} or not re.fullmatch(r"\d+\.\d{6}", stamp["time"]):
            raise AssertionError(f"this is no stamp: {entry}")
        if any(type(value) is not int for key, value in stamp.items() if key != "time") or stamp.get("err", 0) < 0:
            raise AssertionError(f"this stamp has wrong values: {entry}")
        read.append(stamp | {"event_us": int(stamp["time"].replace(".", "")) - stamp.get("lag", 0)})
    return read


def expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {str(found)[:200]}, and not {str(expected)[:200]}")


def expect_stamps(log_store: Server, run: str, ids: Iterable[int]) -> list[dict[str, int]]:
    """Exactly these ids have a stamp, each one."""
    read = stamps(log_store, run)
    expect(f"stamps of run {run}", sorted(stamp["id"] for stamp in read), list(ids))
    return read


def wait_for_next_beat(server: Server, key: str) -> None:
    """A beat lives for 5 s and is written anew each second: what is left of it falls, and rises again."""
    wait_until(lambda: server.redis.pttl(key) < 4500, "the beat is old")
    wait_until(lambda: server.redis.pttl(key) > 4500, "the next beat comes")
