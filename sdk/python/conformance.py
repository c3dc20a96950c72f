"""This package's part in the suite that holds all SDKs against one another (sdk/README.md). `scripts/test-sdks` runs it."""

import argparse
import base64
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from redis import Redis
from stampede import Tracer, envelope
from stampede.filter import Filter

BATCH = 64
WAIT = 0.1  # seconds that a pop waits for a message; a signal is noticed after it
ASK_EVERY = 0.002  # seconds


def hop(args: argparse.Namespace) -> None:
    """Moves messages from one list to another, and stamps them, until SIGTERM."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda signum, _: ended.append(signum))
    queue = Redis.from_url(args.queue)
    tracer = Tracer(args.redis, args.service, [args.stage], args.every, clock=args.clock)
    tracer.flush(2)
    tell({"ready": True})
    handled = 0
    while not ended:
        popped: Any = queue.blmpop(WAIT, 1, args.source, direction="RIGHT", count=BATCH)
        if not popped:
            continue
        for body in popped[1]:
            try:
                id, run = envelope(body)
            except ValueError:
                tracer.count("garbage")
                continue
            tracer.stamp(args.stage, id, run)
        queue.lpush(args.to, *popped[1])
        handled += len(popped[1])
    tell({"handled": handled, "unwritten": tracer.close()})


def clock(args: argparse.Namespace) -> None:
    """Tells Redis time, between two readings of the monotonic clock."""
    with Tracer(args.redis, "clock", []) as tracer:
        end = time.monotonic() + args.seconds
        while time.monotonic() < end:
            before_ns = time.monotonic_ns()
            now = tracer.now()
            after_ns = time.monotonic_ns()
            if now:
                tell({"before_ns": before_ns, "us": now.us, "error_us": now.error_us, "after_ns": after_ns})
            next_ask = time.monotonic() + ASK_EVERY
            while args.busy and time.monotonic() < next_ask:
                [str(number) for number in range(100)]
            if not args.busy:
                time.sleep(max(next_ask - time.monotonic(), 0))


def cost(args: argparse.Namespace) -> None:
    """Reads envelopes, and reads and stamps them, in turn."""
    bodies = [json.dumps({"data": "x" * 16, "id": id, "run": "cost"}).encode() for id in range(args.messages)]
    told: dict[str, list[int]] = {"without_ns": [], "with_ns": [], "cpu_without_ns": [], "cpu_with_ns": []}

    def timed(name: str, work: Callable[[], None]) -> None:
        wall, cpu = time.monotonic_ns(), time.process_time_ns()
        work()
        told[f"{name}_ns"].append((time.monotonic_ns() - wall) // len(bodies))
        told[f"cpu_{name}_ns"].append((time.process_time_ns() - cpu) // len(bodies))

    def without() -> None:
        for body in bodies:
            envelope(body)

    def stamped() -> None:
        for body in bodies:
            id, run = envelope(body)
            tracer.stamp("cost", id, run)
        tracer.flush()

    with Tracer(args.redis, "cost", ["cost"], args.every) as tracer:
        for _ in range(args.rounds):
            timed("without", without)
            timed("with", stamped)
    tell(told)


def envelopes(_: argparse.Namespace) -> None:
    for line in lines():
        try:
            id, run = envelope(base64.b64decode(line))
            tell({"id": id, "run": run})
        except ValueError as error:
            tell({"error": str(error)})


def filters(_: argparse.Namespace) -> None:
    for line in map(json.loads, lines()):
        clock_filter = Filter()
        for sent_ns, received_ns, redis_us in line["probes"]:
            clock_filter.add(sent_ns, received_ns, redis_us)
        known, first = clock_filter.line, line["probes"][0][2]
        assert known
        answers = [known.redis_ns(local_ns) for local_ns in line["ask"]]
        tell({"steps": clock_filter.steps, "answers": [[redis_ns - 1000 * first, error_ns] for redis_ns, error_ns in answers]})


def lines() -> Iterator[str]:
    return (line.rstrip("\n") for line in sys.stdin)


def tell(document: object) -> None:
    print(json.dumps(document), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    questions = parser.add_subparsers(required=True)
    for name, question in {"hop": hop, "clock": clock, "cost": cost, "envelope": envelopes, "filter": filters}.items():
        options = questions.add_parser(name)
        options.set_defaults(question=question)
        if name in ("hop", "clock", "cost"):
            options.add_argument("--redis", required=True)
        if name in ("hop", "cost"):
            options.add_argument("--every", type=int, default=100)
        if name == "hop":
            for option in ("--queue", "--to", "--stage", "--service"):
                options.add_argument(option, required=True)
            options.add_argument("--from", required=True, dest="source")
            options.add_argument("--clock", default="disciplined")
        if name == "clock":
            options.add_argument("--seconds", type=float, required=True)
            options.add_argument("--busy", action="store_true")
        if name == "cost":
            options.add_argument("--messages", type=int, required=True)
            options.add_argument("--rounds", type=int, required=True)
    args = parser.parse_args()
    args.question(args)


if __name__ == "__main__":
    main()
