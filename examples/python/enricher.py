"""An extra hop, written in Python: moves messages from one Redis list to another and stamps each on its way.

    pip install ./sdk/python
    python enricher.py --redis redis://127.0.0.1:6379 --from stampede:queue --to stampede:enriched
"""

import argparse
import logging
import signal
from types import FrameType
from typing import cast

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from stampede import Tracer, envelope

STAGE = "enricher"
BATCH = 64  # A pop for each message would cost a round trip for each, and cap the whole pipeline.
WAIT = 0.5  # seconds that a pop waits for a message; a signal is noticed after it

stopping = False


def enrich(body: bytes) -> bytes:
    """The user's own work, here a new field. The other bytes stay as they are, numbers above all: `id` must not change."""
    return body.rstrip()[:-1] + b',"enriched":true}'


def stamped_and_enriched(body: bytes, tracer: Tracer) -> bytes:
    try:
        id, run = envelope(body)
    except ValueError:
        # What one sender got wrong ends no service: it is counted and passed on unchanged.
        tracer.count("garbage")
        return body
    tracer.stamp(STAGE, id, run)
    return enrich(body)


def stop(signum: int, _: FrameType | None) -> None:
    """Finishes the batch in hand; a second signal ends the process at once."""
    global stopping
    stopping = True
    signal.signal(signum, signal.SIG_DFL)


def main() -> None:
    parser = argparse.ArgumentParser(description="Moves messages from one Redis list to another and stamps them.")
    parser.add_argument("--redis", metavar="URL", default="redis://127.0.0.1:6379", help="holds the queues [%(default)s]")
    parser.add_argument("--log-store", metavar="URL", help="takes the stamps [the same as --redis]")
    parser.add_argument("--from", metavar="KEY", default="stampede:queue", dest="source", help="[%(default)s]")
    parser.add_argument("--to", metavar="KEY", default="stampede:enriched", dest="sink", help="[%(default)s]")
    parser.add_argument("--every", metavar="N", type=int, default=100, help="stamp 1 message in N [%(default)s]")
    args = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, stop)

    # While Redis is away, commands are tried again for as long as it takes. A connection that breaks in the middle may lose
    # what a pop had taken, or forward a batch twice; the sweep counts either, as `lost` and as `duplicates`.
    queue = Redis.from_url(args.redis, retry=Retry(ExponentialBackoff(cap=1, base=0.05), -1))
    tracer = Tracer(args.log_store or args.redis, service="enricher", stages=[STAGE], every=args.every)
    logging.info("messages go from %s to %s", args.source, args.sink)
    while not stopping:
        # The oldest message is at the right end, and must leave first.
        popped = queue.blmpop(WAIT, 1, args.source, direction="RIGHT", count=BATCH)
        bodies = cast("list[bytes]", popped[1] if popped else [])  # Never str: this client decodes no answers.
        # Stamped before it is forwarded: the next service may have a message before this one hears that Redis took it.
        enriched = [stamped_and_enriched(body, tracer) for body in bodies]
        if enriched:
            queue.lpush(args.sink, *enriched)
    tracer.close()


if __name__ == "__main__":
    main()
