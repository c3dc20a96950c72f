"""A hop from a list to a stream: marks each message as large or small, and adds it to a stream from which others read in a consumer group.

    pip install ./sdk/python
    python classifier.py --redis redis://127.0.0.1:6379 --from stampede:queue --to orders
"""

import argparse
import signal
from typing import cast

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from stampede import Tracer, envelope

STAGE = "classifier"
BATCH = 64
WAIT = 0.5  # seconds that a pop waits for a message; a signal is noticed after it
LARGE = 100  # bytes


def classify(body: bytes) -> bytes:
    return body.rstrip()[:-1] + (b',"size":"large"}' if len(body) > LARGE else b',"size":"small"}')


def main() -> None:
    parser = argparse.ArgumentParser(description="Moves messages from a Redis list to a stream and stamps them.")
    parser.add_argument("--redis", metavar="URL", default="redis://127.0.0.1:6379", help="holds both, and takes the stamps [%(default)s]")
    parser.add_argument("--from", metavar="KEY", default="stampede:queue", dest="source", help="a list [%(default)s]")
    parser.add_argument("--to", metavar="KEY", default="orders", dest="sink", help="a stream [%(default)s]")
    parser.add_argument("--every", metavar="N", type=int, default=100, help="stamp 1 message in N [%(default)s]")
    args = parser.parse_args()
    ended: list[int] = []
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda signum, _: ended.append(signum))

    queue = Redis.from_url(args.redis, retry=Retry(ExponentialBackoff(cap=1, base=0.05), -1))
    with Tracer(args.redis, "classifier", [STAGE], args.every) as tracer:
        while not ended:
            popped = queue.blmpop(WAIT, 1, args.source, direction="RIGHT", count=BATCH)
            with queue.pipeline(transaction=False) as pipeline:
                for body in cast("list[bytes]", popped[1] if popped else []):
                    try:
                        id, run = envelope(body)
                    except ValueError:
                        tracer.count("garbage")
                    else:
                        # Before it is handed on: whoever reads the stream may be quicker than its answer.
                        tracer.stamp(STAGE, id, run)
                        body = classify(body)
                    pipeline.xadd(args.sink, {"body": body})
                pipeline.execute()


if __name__ == "__main__":
    main()
