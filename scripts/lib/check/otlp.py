"""Are sampled messages told as traces, each once and to the microsecond? Sweeps a private pipeline with --otlp, takes the traces with a server
built on the official protobuf types, and holds every span against the stamps in Redis: times, parents, links, attributes, ids. Then with
collectors that are down, slow, busy (429), small (413), that take a part only, and over TLS with a header: what is told, how long it takes, and that
the sweep's result is the same.

  scripts/check otlp [--short] [--every 10]

opentelemetry-proto is installed into a folder that goes with it.
"""

import hashlib
import json
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from shared import Stack, arguments, driver, packages

PATH = ["send", "apiserver", "enqueue", "pushserver", "publish", "mqttclient"]
ANSWERS = ["enqueued", "acknowledged"]
SERVICES = dict(zip(PATH, ["driver", "apiserver", "apiserver", "pushserver", "pushserver", "mqttclient"]))
CONTEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SCHEMA = "https://opentelemetry.io/schemas/1.44.0"

faults: list[str] = []


def expect(holds: bool, what: str) -> None:
    if not holds and len(faults) < 20:
        faults.append(what)


def stamps(redis: str, run: str) -> dict[str, dict[int, tuple[int, int | None]]]:
    """By stage and id: the event time in µs, and the bound of its error."""
    told: dict[str, dict[int, tuple[int, int | None]]] = {}
    for stage in PATH + ANSWERS:
        command = ["redis-cli", "-u", redis, "--raw", "LRANGE", f"trace:{run}:{stage}", "0", "-1"]
        entries = [json.loads(line) for line in subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines() if line]
        of_stage = told.setdefault(stage, {})
        for entry in entries:
            seconds, micros = entry["time"].split(".")
            us = int(seconds) * 1_000_000 + int(micros) - entry.get("lag", 0)
            if entry["id"] not in of_stage or us < of_stage[entry["id"]][0]:
                of_stage[entry["id"]] = us, entry.get("err")
    return told


def trace_id(run: str, id: int) -> bytes:
    return hashlib.sha256(f"stampede:{run}:{id}".encode()).digest()[:16]


def sweep(stack: Stack, url: str, *options: str) -> tuple[list[dict], str, int, float]:
    """Levels, what was told, exit code and seconds of a sweep that sends its traces to a collector."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        command = [stack.driver, "sweep", "--target", stack.at["api"], "--redis", stack.at["redis"], "--out", out, "--json", "--otlp", url, *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr, done.returncode, time.monotonic() - begin


def notes(told: str) -> list[str]:
    return [line for line in told.splitlines() if "--otlp" in line]


def hold_against_stamps(stack: Stack, collector: object, runs: list[str]) -> None:
    from collector import attributes

    of_run: dict[str, list] = {run: [] for run in runs}
    for resource, span in collector.spans():
        of_run[attributes(span)["stampede.run"]].append((resource, span))
    for run in runs:
        told = stamps(stack.at["redis"], run)
        ids = set().union(*(told[stage] for stage in PATH))
        roots = [(attributes(span), resource, span) for resource, span in of_run[run] if not span.parent_span_id]
        expect(Counter(int(root["messaging.message.id"]) for root, _, _ in roots) == Counter(ids), f"{run}: not every sampled message has one root span")
        children: dict[bytes, dict[str, tuple]] = {}
        for resource, span in of_run[run]:
            if span.parent_span_id:
                kept = children.setdefault(span.trace_id, {})
                stage = attributes(span)["stampede.stage"]
                expect(stage not in kept, f"{run}: two spans of one hop")
                kept[stage] = resource, span
        for root, resource, span in roots:
            id = int(root["messaging.message.id"])
            passed = [(stage, told[stage][id]) for stage in PATH if id in told[stage]]
            expect(span.trace_id == trace_id(run, id), f"{id}: the trace's id is not the hash of run and id")
            expect((span.start_time_unix_nano, span.end_time_unix_nano) == (passed[0][1][0] * 1000, max(passed[-1][1][0], passed[0][1][0]) * 1000), f"{id}: root {span.start_time_unix_nano} to {span.end_time_unix_nano}, and stamps {passed}")
            expect(resource["service.name"] == "stampede" and resource["schema_url"] == SCHEMA, f"{id}: resource of the root {resource}")
            expect(root["stampede.arrived"] == ("mqttclient" in dict(passed)), f"{id}: arrived?")
            events = {event.name: event.time_unix_nano for event in span.events}
            expect(events == {stage: told[stage][id][0] * 1000 for stage in ANSWERS if id in told[stage]}, f"{id}: answers {events}")
            hops = children.pop(span.trace_id, {})
            expect(list(sorted(hops)) == sorted(stage for stage, _ in passed[1:]), f"{id}: hops {sorted(hops)}, and stamps of {passed}")
            for (before, (begin, begin_error)), (stage, (end, end_error)) in zip(passed, passed[1:]):
                of, hop = hops[stage]
                has = attributes(hop)
                expect(hop.parent_span_id == span.span_id and hop.span_id == hashlib.sha256(f"stampede:{run}:{id}:{stage}".encode()).digest()[:8], f"{id}: ids of {stage}")
                expect((hop.start_time_unix_nano, hop.end_time_unix_nano) == (begin * 1000, max(begin, end) * 1000), f"{id}: times of {stage}")
                expect(has.get("stampede.duration_us", end - begin) == end - begin, f"{id}: duration of {stage}")
                expect(of["service.name"] == SERVICES[stage] and of["service.namespace"] == "stampede", f"{id}: {stage} is of {of}")
                expect(has["stampede.clock_error_us"] == begin_error + end_error, f"{id}: error of {stage}")
                expect(has["messaging.message.id"] == str(id) and has["stampede.from"] == before, f"{id}: attributes of {stage} {has}")
                expect(conventions(stage) == {key: value for key, value in has.items() if key.startswith("messaging.") and key != "messaging.message.id"}, f"{id}: {stage} has {has}")
        expect(not children, f"{run}: {len(children)} traces without a root")
        print(f"  {run}: {len(ids)} sampled messages, {len(of_run[run])} spans")


def conventions(stage: str) -> dict[str, str]:
    """What the semantic conventions for messaging ask for."""
    operation = {"enqueue": ("redis", "create", "stampede:queue"), "pushserver": ("redis", "receive", "stampede:queue"), "publish": ("mqtt", "create", "/channel"), "mqttclient": ("mqtt", "receive", "/channel")}
    if stage not in operation:
        return {}
    system, kind, destination = operation[stage]
    return {"messaging.system": system, "messaging.operation.type": kind, "messaging.operation.name": kind, "messaging.destination.name": destination}


def hold_histograms(collector: object, levels: list[dict]) -> None:
    from collector import attributes

    found = {}
    for request in collector.metrics:
        for metric in request.resource_metrics[0].scope_metrics[0].metrics:
            for point in metric.exponential_histogram.data_points:
                found[metric.name, attributes(point)["stampede.run"], attributes(point).get("stampede.stage")] = point
    for level in levels:
        run = level["load"]["run"]
        point = found["stampede.arrival.duration", run, None]
        expect(point.count == level["arrival"]["count"] == sum(point.positive.bucket_counts) + point.zero_count, f"{run}: count of the histogram")
        expect(abs(point.sum / point.count * 1e6 - level["arrival"]["mean_us"]) <= level["arrival"]["mean_us"] * 0.002 + 1, f"{run}: mean of the histogram")
        expect(all(("stampede.hop.duration", run, stage) in found for stage in PATH[1:]), f"{run}: histograms of hops")


def check_traces(stack: Stack, every: int, levels: int) -> None:
    from collector import Collector

    print("traces:")
    with Collector() as collector:
        found, told, code, _ = sweep(stack, collector.url, "--from", "1", "--to", str(levels), "-d", "1s", "--warmup", "200ms", "--every", str(every))
        expect(code == 0 and len(found) == levels, f"the sweep ended with {code}: {told}")
        runs = [level["load"]["run"] for level in found]
        hold_against_stamps(stack, collector, runs)
        hold_histograms(collector, found)
        print("  " + notes(told)[-1])
    # The same again from the log store, and from a file.
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/stamps.lz4"
        subprocess.run([stack.driver, "export", "latest", "--redis", stack.at["redis"], "-o", file], check=True, stdout=subprocess.DEVNULL)
        for name, where in (("latest", ["--redis", stack.at["redis"]]), (file, [])):
            with Collector() as collector:
                command = [stack.driver, "report", name, *where, "--out", folder, "--otlp", collector.url]
                done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                expect(done.returncode == 0, f"report {name} ended with {done.returncode}: {done.stderr}")
                hold_against_stamps(stack, collector, runs)


def check_context(stack: Stack) -> None:
    """A trace that the sender has begun is linked to, and goes with the message."""
    from collector import Collector, attributes

    print("traceparent:")
    run = f"context-{time.time_ns():x}"
    watching = ["mosquitto_sub", "-t", "/channel", "-V", "5", "-F", "%P|%p", "-C", "3", "-W", "20", *mosquitto(stack)]
    subscriber = subprocess.Popen(watching, stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    import urllib.request

    own = CONTEXT.replace("00f067aa", "11111111")
    for body, header in [({"id": 100, "run": run}, CONTEXT), ({"id": 200, "run": run, "traceparent": own}, CONTEXT), ({"id": 300, "run": run}, None)]:
        headers = {"Content-Type": "application/json"} | ({"traceparent": header} if header else {})
        urllib.request.urlopen(urllib.request.Request(stack.at["api"], json.dumps(body).encode(), headers), timeout=5).read()
    lines = subscriber.communicate(timeout=30)[0].splitlines()
    payloads = {json.loads(line.split("|", 1)[1])["id"]: line.split("|", 1) for line in lines}
    expect(set(payloads) == {100, 200, 300}, f"the subscriber got {lines}")
    for id, context in [(100, CONTEXT), (200, own), (300, None)]:
        properties, payload = payloads.get(id, ["", "{}"])
        expect(json.loads(payload).get("traceparent") == context, f"{id}: the message has {payload}")
        expect((f"traceparent:{context}" in properties.replace(" ", "")) == bool(context), f"{id}: user properties {properties!r}")
    with Collector() as collector, tempfile.TemporaryDirectory() as folder:
        deadline = time.monotonic() + 10
        while len(stamps(stack.at["redis"], run)["mqttclient"]) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        command = [stack.driver, "report", run, "--redis", stack.at["redis"], "--out", folder, "--otlp", collector.url]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        links = {attributes(span)["messaging.message.id"]: [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] for _, span in collector.spans() if not span.parent_span_id}
    trace = CONTEXT.split("-")[1]
    expect(links == {"100": [(trace, CONTEXT.split("-")[2])], "200": [(trace, own.split("-")[2])], "300": []}, f"links {links}")
    print(f"  links {links}")


def mosquitto(stack: Stack) -> list[str]:
    host, _, port = stack.at["mqtt"].removeprefix("mqtt://").rpartition(":")
    return ["-h", host, "-p", port]


def check_faults(stack: Stack, folder: Path) -> None:
    from collector import Answer, Collector, partial

    print("collectors:")
    options = ["--levels", "1,2", "-d", "1s", "--warmup", "0s", "--every", "10", "--otlp-within", "6s"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    making = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*making, "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    busy = Answer(status=429, headers={"Retry-After": "1"})
    cases = [
        ("fine", Collector(), [], "all"),
        ("down", None, [], "none"),
        ("never answers", Collector(lambda *_: Answer(after=30, keeps=False)), [], "none"),
        ("slow, 0.5 s", Collector(lambda *_: Answer(after=0.5)), [], "all"),
        ("429 twice, Retry-After: 1", Collector(lambda number, *_: busy if number < 2 else Answer()), [], "all"),
        ("503 always", Collector(lambda *_: Answer(status=503)), [], "none"),
        ("413 above 100 kB", Collector(lambda _, __, size: Answer(status=413) if size > 100_000 else Answer()), [], "all"),
        ("400", Collector(lambda *_: Answer(status=400)), [], "none"),
        ("takes a part", Collector(lambda *_: partial(3, "attribute too long")), [], "all"),
        ("TLS and a header", Collector(tls=tls), ["--otlp-ca", str(certificate), "--otlp-header", "X-Token: s3cret"], "all"),
        ("TLS that is not trusted", Collector(tls=tls), [], "none"),
    ]
    for name, collector, more, sent in cases:
        found, told, code, seconds = sweep(stack, collector.url if collector else nobody, *options, *more)
        expect(code == 0 and len(found) == 2 and not any(level["books"]["lost"] for level in found), f"{name}: the sweep ended with {code}: {told}")
        sampled = sum(level["traces"]["sampled"] for level in found)
        got = sum(not span.parent_span_id for _, span in collector.spans()) if collector else 0
        expect(got == (sampled if sent == "all" else 0), f"{name}: {got} of {sampled} messages were taken")
        expect("s3cret" not in told, f"{name}: a secret is told")
        if "header" in name:
            expect(all(headers.get("X-Token") == "s3cret" for headers in collector.headers), f"{name}: headers {collector.headers[:1]}")
        rate = "/".join(f"{level['load']['http']['requests']}" for level in found)
        print(f"  {name}: exit {code}, {seconds:.1f} s, requests {rate}, {got} of {sampled} messages")
        for note in notes(told):
            print(f"    {note.strip()}")
        if collector:
            collector.__exit__()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--short", action="store_true", help="the traces and the context alone")
    parser.add_argument("--every", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if packages(Path(folder), {"opentelemetry.proto.collector.trace.v1.trace_service_pb2": "opentelemetry-proto"}) is None:
            sys.exit("check otlp: opentelemetry-proto cannot be installed: pip install opentelemetry-proto")
        sys.path.append(folder)
        with Stack(driver("release"), "--every", str(args.every), "--pushserver-args", "--mqtt-version 5") as stack:
            check_traces(stack, args.every, 2 if args.short else 4)
            check_context(stack)
            if not args.short:
                check_faults(stack, Path(folder))
    for fault in faults:
        print(f"check otlp: {fault}", file=sys.stderr)
    sys.exit(1 if faults else print("all is well") or 0)
