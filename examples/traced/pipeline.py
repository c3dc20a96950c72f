"""A pipeline of three services that are traced with OpenTelemetry, and know nothing of Stampede: an API takes orders in and queues them in Redis, a worker
processes them and queues them again, a mailer ends their way. Each of the three is a process of its own:

    python pipeline.py api    --redis redis://127.0.0.1:6379 --otlp http://127.0.0.1:4318 --rate 200 --seconds 10
    python pipeline.py worker --redis redis://127.0.0.1:6379 --otlp http://127.0.0.1:4318
    python pipeline.py mailer --redis redis://127.0.0.1:6379 --otlp http://127.0.0.1:4318

`driver otlp-receive --map map.yaml` makes stamps of their spans. `--offset` sets the clock that a service's spans are told by. With --stamped RUN the services stamp
the same messages at the same moments with Stampede's SDK, so that the two can be compared.
"""

import argparse
import json
import os
import signal
import socket
import time
from contextlib import ExitStack

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from redis import Redis

QUEUES = {"worker": "orders:new", "mailer": "orders:done"}
SPANS = {"api": ("POST /orders", SpanKind.SERVER), "worker": ("process orders", SpanKind.CONSUMER), "mailer": ("send mail", SpanKind.CONSUMER)}
NEXT = {"api": "orders:new", "worker": "orders:done"}


class Service:
    def __init__(self, args: argparse.Namespace, exits: ExitStack) -> None:
        self.role, self.offset_ns = args.role, round(args.offset * 1e6)
        # The host's name tells its clock; here each process may have one of its own.
        resource = Resource.create({"service.name": f"orders-{args.role}", "host.name": args.host})
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{args.otlp}/v1/traces"), schedule_delay_millis=500, max_queue_size=100_000))
        exits.callback(provider.shutdown)
        self.tracer = provider.get_tracer("orders")
        self.redis = Redis.from_url(args.redis)
        self.stamped = args.stamped
        if args.stamped:
            from stampede import Tracer

            self.stamper = Tracer(args.redis, f"orders-{args.role}", [args.role], every=args.every)
            exits.callback(self.stamper.close)

    def handle(self, message: dict) -> None:
        """Passes a message on, within a span that begins now."""
        now, moment = time.time_ns() + self.offset_ns, time.monotonic_ns()
        name, kind = SPANS[self.role]
        context = TraceContextTextMapPropagator().extract(message)
        attributes = {"messaging.message.id": str(message["id"]), "order.total": message["total"]}
        span = self.tracer.start_span(name, context=context, kind=kind, attributes=attributes, start_time=now)
        if self.stamped:
            self.stamper.stamp(self.role, message["id"], self.stamped, at=moment)
        if self.role in NEXT:
            from opentelemetry import trace

            TraceContextTextMapPropagator().inject(message, context=trace.set_span_in_context(span))
            self.redis.lpush(NEXT[self.role], json.dumps(message))
        span.end(time.time_ns() + self.offset_ns)

    def send(self, rate: float, seconds: float) -> None:
        begin = time.monotonic()
        for number in range(round(rate * seconds)):
            time.sleep(max(begin + number / rate - time.monotonic(), 0))
            self.handle({"id": number, "total": 42})

    def take(self) -> None:
        while not stopping:
            if popped := self.redis.brpop([QUEUES[self.role]], timeout=0.2):
                self.handle(json.loads(popped[1]))


stopping = False


def stop(*_: object) -> None:
    global stopping
    stopping = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", choices=["api", "worker", "mailer"])
    parser.add_argument("--redis", default="redis://127.0.0.1:6379")
    parser.add_argument("--otlp", default="http://127.0.0.1:4318")
    parser.add_argument("--host", default=socket.gethostname(), help="the name of the host, and so of its clock")
    parser.add_argument("--offset", type=float, default=0.0, help="by how much the clock of the spans is ahead, ms")
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--stamped", default="", help="stamp the messages of this run, too")
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with ExitStack() as exits:
        service = Service(args, exits)
        print(json.dumps({"ready": args.role, "pid": os.getpid()}), flush=True)
        service.send(args.rate, args.seconds) if args.role == "api" else service.take()


main()
