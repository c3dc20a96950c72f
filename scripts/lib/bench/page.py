"""What does the live page cost? Loads nginx with `driver load` in turn without a page and with one that somebody watches, and a private pipeline
with `driver sweep` likewise. Prints requests/s, CPU time of the driver for each request, and the ratios, each the median over the rounds.

  scripts/bench page [--rounds 5] [--seconds 5] [--browser] [--hostile]

Whoever watches reads the stream of events, as the page does, without drawing it: another machine would. --browser also draws it, in a headless
Chromium on this machine. --hostile adds 10,000 half-open connections, and a client that never reads the stream; beside it the same connections to
a listener of this script, as who makes them takes this machine's processors, too.
"""

import contextlib
import json
import pathlib
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from browser import Chromium, program
from shared import arguments, driver, in_turn

NGINX = """daemon off; pid PID; error_log stderr crit; worker_processes 1;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; server { listen 127.0.0.1:PORT; location / { return 202 "ok"; } } }
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def nginx(folder):
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(NGINX.replace("PORT", str(port)).replace("PID", str(folder / "nginx.pid")))
    server = subprocess.Popen(["nginx", "-c", str(conf), "-p", str(folder)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


class Watcher:
    """Reads the stream until it ends."""

    def __init__(self, page, reads=True):
        self.events = 0
        host, port = re.match(r"http://([\d.]+):(\d+)", page).groups()
        self.stream = socket.create_connection((host, int(port)))
        self.stream.sendall(f"GET /events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        if reads:
            threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        with contextlib.suppress(OSError):
            while got := self.stream.recv(1 << 16):
                self.events += got.count(b"event: tick")


def half_open(page, number):
    """Connections that begin a request and never end it; as many as the system lets be."""
    host, port = re.match(r"http://([\d.]+):(\d+)", page).groups()
    connections = []
    with contextlib.suppress(OSError):
        for _ in range(number):
            connection = socket.socket()
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.connect((host, int(port)))
            connections.append(connection)
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.send(b"GET / HTTP/1.1\r\nX")
    return connections


def measured(command, folder, watch):
    """Runs the driver, with whoever watches its page: what it printed, and its CPU time, s."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
    kept = []
    if watch:
        for line in process.stderr:
            if found := re.match(r"page: (\S+)", line):
                kept = watch(found[1])
                break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    output = process.stdout.read()
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for one in kept:
        one.close() if isinstance(one, socket.socket) else None
    return output, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--hostile", action="store_true")
    args = parser.parse_args()
    executable = str(pathlib.Path(driver()).resolve())
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="stampede-page-", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        chromium = Chromium(program(), folder, deadline=36_000) if args.browser and program() else None

        def watched(url):
            return [Watcher(url)]

        def drawn(url):
            chromium.ask("Page.navigate", url=url)
            return []

        def hostile(url):
            return [Watcher(url), Watcher(url, reads=False).stream, *half_open(url, 10_000)]

        listener = socket.create_server(("127.0.0.1", 0), backlog=128)

        def elsewhere(url):
            return [Watcher(url), *half_open(f"http://127.0.0.1:{listener.getsockname()[1]}", 10_000)]

        ways = {"no page": None, "watched": watched}
        if chromium:
            ways["drawn here"] = drawn
        if args.hostile:
            ways |= {"hostile": hostile, "hostile elsewhere": elsewhere}

        def load(way, url):
            command = [executable, "load", url, "-c", "8", "-d", f"{args.seconds}s", "--json"]
            output, cpu = measured(command + (["--ui", "127.0.0.1:0"] if ways[way] else []), folder, ways[way])
            result = json.loads(output)
            return result["requests_per_sec"], cpu / result["accepted"] * 1e6

        def sweep(way):
            command = [executable, "sweep", "--levels", "4", "-d", f"{args.seconds}s", "--warmup", "500ms", "--every", "100", "--json"]
            output, cpu = measured(command + (["--ui", "127.0.0.1:0"] if ways[way] else []), folder, ways[way])
            level = json.loads(output.splitlines()[0])
            http = level["load"]["http"]
            return http["accepted"] * 1e6 / http["duration_us"], cpu / http["accepted"] * 1e6

        with nginx(folder) as url:
            for what, measure in [("driver load, nginx", lambda way: load(way, url)), ("driver sweep, pipeline", sweep)]:
                results = {way: [] for way in ways}
                for way in in_turn(args.rounds, list(ways)):
                    results[way].append(measure(way))
                print(f"{what:<24} {'requests/s':>11} {'ratio':>7} {'driver CPU µs/request':>22} {'ratio':>7}")
                for way, values in results.items():
                    rates, cpus = zip(*values)
                    base_rates, base_cpus = zip(*results["no page"])
                    ratio = statistics.median(one / base for one, base in zip(rates, base_rates))
                    cost = statistics.median(one / base for one, base in zip(cpus, base_cpus))
                    print(f"  {way:<22} {statistics.median(rates):>11.0f} {ratio:>7.3f} {statistics.median(cpus):>22.2f} {cost:>7.3f}", flush=True)
        if chromium:
            chromium.close()
