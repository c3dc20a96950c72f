"""Are services that are traced already measured without stamps of ours? Runs a pipeline of three processes that are traced with OpenTelemetry's own SDK
(examples/traced), takes their spans with `driver otlp-receive`, and reports them; the same messages are stamped at the same moments with Stampede's SDK, in
another run. Fails unless both reports have every message, their figures agree within the offset of the clocks, and the bound that causality gives holds what the stamps
say. Once with clocks that agree, once with the worker's 5 ms ahead and once with it 5 ms behind; and once with all on one clock. Then requests that a collector must refuse.

  scripts/check otlp_receive [--seconds 5] [--rate 200]

opentelemetry-sdk, its exporter and redis-py are installed into a folder that goes with it.
"""

import gzip
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from shared import ROOT, arguments, driver, packages

PATH = ["api", "worker", "mailer"]
FIGURES = ["p50_us", "p90_us", "p99_us", "max_us"]
# What lies between the two readings of a moment, one for the span and one for the stamp, and the errors of the stamps: µs.
APART = 300

faults: list[str] = []


def expect(holds: bool, what: str) -> None:
    if not holds:
        faults.append(what)


class Running:
    """A process, and its ready line."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"check otlp_receive: {' '.join(command)} did not start")
        self.at = json.loads(line)

    def end(self) -> None:
        self.process.terminate()
        expect(self.process.wait(30) == 0, f"{self.process.args} ended with {self.process.returncode}")

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.end()


class Redis:
    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", folder], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self.socket.exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    def total(self, run: str, stage: str) -> int:
        lines = subprocess.run(["redis-cli", "-s", self.socket, "HGETALL", f"trace:{run}:counts"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        return sum(int(count) for field, count in zip(lines[::2], lines[1::2]) if field.split("@")[0] == stage)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def report(program: str, url: str, run: str) -> dict:
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([program, "report", run, "--redis", url, "--path", ",".join(PATH), "--out", out], check=True, stdout=subprocess.DEVNULL)
        told = json.loads((Path(out) / "latest" / "report.json").read_text())
        told["summary"] = (Path(out) / "latest" / "summary.md").read_text()
        return told


def measure(program: str, environment: dict[str, str], folder: Path, args: object, hosts: dict[str, str], offsets: dict[str, float]) -> tuple[dict, dict]:
    """The reports of one run of the pipeline: by its traces, and by its stamps."""
    redis = Redis(folder)
    url, other = f"redis+unix://{redis.socket}", f"unix://{redis.socket}"
    sends = round(args.rate * args.seconds)
    receive = [program, "otlp-receive", "--map", str(ROOT / "examples/traced/map.yaml"), "--run", "traced", "--every", "1", "--redis", url, "--listen", "127.0.0.1:0"]
    try:
        with Running(receive) as receiver:
            parts = {}
            for role in ["mailer", "worker", "api"]:
                command = [sys.executable, str(ROOT / "examples/traced/pipeline.py"), role, "--redis", other, "--otlp", f"http://{receiver.at['listen']}"]
                command += ["--host", hosts[role], "--offset", str(offsets.get(role, 0)), "--stamped", "stamped", "--rate", str(args.rate), "--seconds", str(args.seconds)]
                parts[role] = Running(command, environment)
            expect(parts["api"].process.wait(args.seconds + 60) == 0, "the API did not end well")
            deadline = time.monotonic() + 30
            while redis.total("stamped", "mailer") < sends and time.monotonic() < deadline:
                time.sleep(0.1)
            for role in ["worker", "mailer"]:
                parts[role].end()
            services = subprocess.run([program, "services", "--redis", url], check=True, stdout=subprocess.PIPE, text=True).stdout
            expect("otlp-receive" in services, f"otlp-receive is no service: {services}")
        for run in ["traced", "stamped"]:
            expect([redis.total(run, stage) for stage in PATH] == [sends] * 3, f"{run}: not all {sends} messages were counted: {[redis.total(run, stage) for stage in PATH]}")
        return report(program, url, "traced"), report(program, url, "stamped")
    finally:
        redis.end()


def compare(name: str, traced: dict, stamped: dict, worker_ahead_us: int, bounded: bool) -> None:
    print(f"{name}:")
    by_trace, by_stamp = traced["levels"][0], stamped["levels"][0]
    bounds = {bound["latency"]["hop"] if isinstance(bound["latency"], dict) else bound["latency"]: bound for bound in by_trace.get("causality", [])}
    expect(set(bounds) == ({"worker", "mailer"} if bounded else set()), f"{name}: bounds of {set(bounds)}")
    verdict = " ".join(traced["findings"]["verdict"])
    expect("foreign clock" in verdict and "foreign clock" in traced["summary"], f"{name}: no warning in {verdict}")
    expect(("only causality bounds them" in verdict) == bounded, f"{name}: {verdict}")
    expect("foreign" not in " ".join(stamped["findings"]["verdict"]), f"{name}: a warning where there is nothing to warn of")
    expect(all(stage["foreign"] == stage["stamps"] for stage in traced["stamping"]), f"{name}: {traced['stamping']}")
    latencies = {hop["stage"]: hop["latency"] for hop in by_trace["hops"]} | {"arrival": by_trace["arrival"]}
    true = {hop["stage"]: hop["latency"] for hop in by_stamp["hops"]} | {"arrival": by_stamp["arrival"]}
    shifts = {"worker": worker_ahead_us, "mailer": -worker_ahead_us, "arrival": 0}
    for latency, shift in shifts.items():
        told, known = latencies[latency], true[latency]
        expect(told["count"] == known["count"], f"{name}: {latency} of {told['count']} and {known['count']} messages")
        # Of few messages there is no p99.
        off = {figure: told[figure] - known[figure] for figure in FIGURES if known[figure] is not None}
        expect(told.keys() == known.keys() and all(abs(off[figure] - shift) <= APART for figure in ["p50_us", "p90_us"]), f"{name}: {latency} is off by {off}, and the clocks by {shift}")
        line = f"  {latency}: p50 {told['p50_us']} µs by traces, {known['p50_us']} by stamps; p99 {told['p99_us']}, {known['p99_us']}"
        if latency in bounds:
            low, high = bounds[latency]["low_us"], bounds[latency]["high_us"]
            expect(low - APART <= -shift <= high + APART, f"{name}: {latency} is off by {shift} µs, and causality says from {-high} to {-low}")
            line += f"; p50 lies between {max(told['p50_us'] + low, 0)} and {told['p50_us'] + high} by causality"
        print(line)
    for sentence in traced["findings"]["verdict"]:
        if "foreign" in sentence or "measured median" in sentence:
            print(f"    {sentence}")


def check_requests(program: str, environment: dict[str, str], folder: Path) -> None:
    """What a collector must take and refuse; and that what comes twice counts once."""
    print("requests:")
    redis = Redis(folder)
    url = f"redis+unix://{redis.socket}"
    receive = [program, "otlp-receive", "--map", str(ROOT / "examples/traced/map.yaml"), "--every", "1", "--redis", url, "--listen", "127.0.0.1:0"]
    try:
        with Running(receive) as receiver:
            at = f"http://{receiver.at['listen']}/v1/traces"

            def post(body: bytes, **headers: str) -> tuple[int, bytes]:
                request = urllib.request.Request(at, body, {name.replace("_", "-"): value for name, value in headers.items()})
                try:
                    with urllib.request.urlopen(request, timeout=20) as answer:
                        return answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    return error.code, error.read()

            span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "POST /orders", "kind": 2, "startTimeUnixNano": "1763000000000000000", "endTimeUnixNano": "1763000000100000000"}
            ids = {"attributes": [{"key": "messaging.message.id", "value": {"intValue": "700"}}]}

            def request(*spans: dict) -> bytes:
                return json.dumps({"resourceSpans": [{"resource": {"attributes": [{"key": "host.name", "value": {"stringValue": "a"}}]}, "scopeSpans": [{"spans": list(spans)}]}]}).encode()

            json_type = "application/json"
            good = request(span | ids)
            cases = [
                ("JSON", good, {"Content_Type": json_type}, 200),
                ("the same again", good, {"Content_Type": json_type}, 200),
                ("gzip", gzip.compress(request(span | ids | {"spanId": "eee19b7ec3c1b175", "attributes": [{"key": "messaging.message.id", "value": {"stringValue": "701"}}]})), {"Content_Type": json_type, "Content_Encoding": "gzip"}, 200),
                ("no id", request(span | {"spanId": "eee19b7ec3c1b176"}), {"Content_Type": json_type}, 200),
                ("other spans", request(span | ids | {"name": "GET /health", "spanId": "eee19b7ec3c1b177"}), {"Content_Type": json_type}, 200),
                ("an empty request", b"", {"Content_Type": "application/x-protobuf"}, 200),
                ("no protobuf", b"\xff\xff\xff", {"Content_Type": "application/x-protobuf"}, 400),
                ("no JSON", b"{", {"Content_Type": json_type}, 400),
                ("text", b"x", {"Content_Type": "text/plain"}, 415),
                ("zstd", b"x", {"Content_Type": json_type, "Content_Encoding": "zstd"}, 415),
                ("no gzip", b"x", {"Content_Type": json_type, "Content_Encoding": "gzip"}, 400),
                ("21 MiB", b" " * (21 << 20), {"Content_Type": json_type}, 413),
                ("100 MiB in 100 kB", gzip.compress(b" " * (100 << 20)), {"Content_Type": json_type, "Content_Encoding": "gzip"}, 413),
            ]
            for name, body, headers, wanted in cases:
                status, answer = post(body, **headers)
                expect(status == wanted, f"{name}: {status} {answer[:200]!r}")
                print(f"  {name}: {status} {answer.decode(errors='replace')[:160]}")
                if name == "no id":
                    told = json.loads(answer)["partialSuccess"]
                    expect(int(told["rejectedSpans"]) == 1 and "messaging.message.id" in told["errorMessage"], f"no id: {told}")
        expect(redis.total("orders", "api") == 2, f"{redis.total('orders', 'api')} spans were counted, and 2 are")
    finally:
        redis.end()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=200.0)
    args = parser.parse_args()
    program = driver("release")
    with tempfile.TemporaryDirectory() as folder:
        wanted = {"opentelemetry.sdk": "opentelemetry-sdk", "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http", "redis": "redis"}
        found = packages(Path(folder), wanted)
        if found is None:
            sys.exit("check otlp_receive: OpenTelemetry's SDK cannot be installed: pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http redis")
        paths = [str(ROOT / "sdk/python"), *filter(None, [found.get("PYTHONPATH")])]
        environment = found | {"PYTHONPATH": ":".join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        apart, together = {"api": "a", "worker": "b", "mailer": "a"}, dict.fromkeys(PATH, "a")
        for name, hosts, ahead in [("one clock", together, 0), ("two clocks that agree", apart, 0), ("the worker's clock 5 ms ahead", apart, 5), ("the worker's clock 5 ms behind", apart, -5)]:
            with tempfile.TemporaryDirectory() as place:
                traced, stamped = measure(program, environment, Path(place), args, hosts, {"worker": ahead})
                compare(name, traced, stamped, ahead * 1000, hosts is apart)
        with tempfile.TemporaryDirectory() as place:
            check_requests(program, environment, Path(place))
    for fault in faults:
        print(f"check otlp_receive: {fault}", file=sys.stderr)
    sys.exit(1 if faults else print("all is well") or 0)
