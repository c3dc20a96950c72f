"""An OpenTelemetry collector for checks: takes OTLP/HTTP, keeps what it is sent, and answers as it is told to. It is built on the official
protobuf types (PyPI, opentelemetry-proto)."""

import gzip
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse


@dataclass
class Answer:
    """What one request is answered with."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0
    """Seconds until it comes."""
    keeps: bool = True
    """Whether what was sent is kept."""


def takes(_: int, __: ExportTraceServiceRequest, ___: int) -> Answer:
    return Answer()


def partial(rejected: int, message: str) -> Answer:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return Answer(body=response.SerializeToString())


class Collector:
    """A collector at a free port. `behaves` is asked how to answer: it is told the number of the request for traces, counted from 0, the request,
    and its size in bytes when it has been decompressed."""

    def __init__(self, behaves: Callable[[int, ExportTraceServiceRequest, int], Answer] = takes, tls: object = None) -> None:
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.requests = 0
        lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = Answer(status=404)
                with lock:
                    collector.headers.append(dict(self.headers))
                    if self.path == "/v1/traces":
                        request = ExportTraceServiceRequest.FromString(body)
                        answer = behaves(collector.requests, request, len(body))
                        collector.requests += 1
                        if answer.status == 200 and answer.keeps:
                            collector.traces.append(request)
                    elif self.path == "/v1/metrics":
                        collector.metrics.append(ExportMetricsServiceRequest.FromString(body))
                        answer = Answer()
                time.sleep(answer.after)
                self.send_response(answer.status)
                for name, value in (answer.headers | {"Content-Type": "application/x-protobuf", "Content-Length": str(len(answer.body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            # Who asks may have gone away when a late answer comes.
            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        scheme = "http"
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> "Collector":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def spans(self) -> list[tuple[dict[str, object], object]]:
        """Each span with the attributes of its resource."""
        found = []
        for request in self.traces:
            for of_resource in request.resource_spans:
                resource = attributes(of_resource.resource)
                found += [(resource | {"schema_url": of_resource.schema_url}, span) for scope in of_resource.scope_spans for span in scope.spans]
        return found


def attributes(of: object) -> dict[str, object]:
    """Names and values; of a value, whatever is set."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in of.attributes}
