"""What do steps cost? Loads nginx in turn with driver load and with plans of one step (nothing kept, a header kept, a JSON value kept), then
with three steps that keep values, and the same three steps with Locust's FastHttpUser; then 10,000 users with a request in 3 s each.

  scripts/bench scenario [--rounds 5] [--seconds 5]

Prints ratios, the median over the rounds: requests/s of each plan over those of driver load, rounds a CPU second over Locust's (of both,
the CPU time of the load alone, without start and report); and of the 10,000 users the send delay, and the memory of the driver for each, as
it is at the end of the load: making the report takes more than many users do. Needs nginx; Locust is installed into a folder that goes with
it, and left out where that fails.
"""

import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from shared import arguments, driver, in_turn, packages, run

CONFIG = """worker_processes 1; worker_rlimit_nofile 16000; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 15000; }}
http {{ access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ default_type application/json; add_header X-Next abcdef0123456789; return 200 '{body}'; }} }} }}
"""
BODY = '{"order":{"id":"o-1234567","state":"open","items":[1,2,3]},"user":{"name":"somebody","mail":"a@b.example"},"note":"' + "x" * 83 + '"}'
ENVELOPE = 'json: { id: "${id}", run: "${run}", data: "${payload}" }'
PLANS = {
    "nothing kept": [f"{{ name: add, POST: /x, {ENVELOPE} }}"],
    "a header kept": [f"{{ name: add, POST: /x, {ENVELOPE}, keep: {{ n: header X-Next }} }}"],
    "a JSON value kept": [f"{{ name: add, POST: /x, {ENVELOPE}, keep: {{ n: json $.order.id }} }}"],
}
THREE = [
    '{ name: add, POST: /orders, json: { item: tea, amount: 1 }, keep: { order: json $.order.id } }',
    '{ name: edit, POST: "/orders/${order}", json: { amount: "${int(1, 9)}" } }',
    '{ name: look, GET: "/orders/${order}" }',
]
LOCUST = """
import json, os, random, time
from locust import FastHttpUser, task, constant, events
begin = 0.0
@events.test_start.add_listener
def start(**_):
    global begin
    begin = time.process_time()
@events.test_stop.add_listener
def stop(environment, **_):
    # Not from its CSV file, which it writes once a second: that may lack the end.
    rounds, failures = environment.stats.get("look", "GET").num_requests, environment.stats.total.num_failures
    with open(os.environ["TOLD"], "w") as file:
        json.dump({"rounds": rounds, "failures": failures, "cpu_s": time.process_time() - begin}, file)
class User(FastHttpUser):
    wait_time = constant(0)
    @task
    def order(self):
        order = self.client.post("/orders", json={"item": "tea", "amount": 1}, name="add").json()["order"]["id"]
        self.client.post(f"/orders/{order}", json={"amount": random.randint(1, 9)}, name="edit")
        self.client.get(f"/orders/{order}", name="look")
"""


def quiet(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Runs a command; what it says is shown where it fails."""
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ended.returncode:
        sys.exit(f"bench scenario: {command[0]} failed with {ended.returncode}:\n{ended.stdout}")


def of_driver(load: dict, figure: str) -> int:
    """What the driver's process used while it loaded: memory as it was at the end."""
    return next(usage for usage in load["usage"] if usage["component"] == "driver")[figure]


class Bench:
    def __init__(self, program: str, url: str, folder: Path, seconds: int, locust_at: dict[str, str] | None) -> None:
        self.program, self.url, self.folder, self.seconds, self.locust_at = program, url, folder, seconds, locust_at

    def load(self) -> float:
        command = [self.program, "load", self.url + "/x", "-c", "20", "-d", f"{self.seconds}s", "--json"]
        return json.loads(run(command)[0])["requests_per_sec"]

    def plan(self, steps: list[str], load: str, user: str = "") -> dict:
        """The load of the level."""
        lines = "\n".join(f"          - {step}" for step in steps)
        text = f"stampede: 1\ntarget: {self.url}\nusers:\n  u:\n{user}    tasks:\n      t:\n        steps:\n{lines}\nload: {load}\n"
        (self.folder / "plan.yaml").write_text(text)
        quiet([self.program, "run", str(self.folder / "plan.yaml"), "--out", str(self.folder / "out")])
        told = json.loads((self.folder / "out/latest/report.json").read_text())["levels"][0]["load"]
        if told["http"]["errors"]:
            sys.exit(f"bench scenario: requests failed: {told['http']['errors']}")
        return told

    def rate(self, steps: list[str]) -> float:
        http = self.plan(steps, f"{{ users: 20, duration: {self.seconds}s }}")["http"]
        return http["accepted"] * 1e6 / http["duration_us"]

    def rounds_per_cpu(self) -> float:
        load = self.plan(THREE, f"{{ users: 20, duration: {self.seconds}s }}")
        return load["scenario"]["all_rounds"]["ended"] * 1e6 / of_driver(load, "cpu_us")

    def locust(self) -> float:
        (self.folder / "locustfile.py").write_text(LOCUST)
        command = [sys.executable, "-m", "locust", "-f", str(self.folder / "locustfile.py"), "--headless", "-u", "20", "-r", "20", "-t", f"{self.seconds}s"]
        command += ["-H", self.url, "--only-summary", "--loglevel", "ERROR"]
        told_at = self.folder / "locust.json"
        quiet(command, (self.locust_at or {}) | {"TOLD": str(told_at)})
        told = json.loads(told_at.read_text())
        if told["failures"]:
            sys.exit(f"bench scenario: {told['failures']} requests of Locust failed")
        return told["rounds"] / told["cpu_s"]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    args = parser.parse_args()
    if not shutil.which("nginx"):
        sys.exit("bench scenario: nginx is not installed")
    program = driver()
    with tempfile.TemporaryDirectory() as name, socket.socket() as listener:
        folder = Path(name)
        locust_at = packages(folder / "packages", {"locust": "locust"})
        if locust_at is None:
            print("bench scenario: Locust cannot be installed (pip install locust): it is left out", file=sys.stderr)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.close()
        (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, port=port, body=BODY))
        nginx = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            bench = Bench(program, f"http://127.0.0.1:{port}", folder, args.seconds, locust_at)
            compare(bench, args.rounds)
            many(bench)
        finally:
            nginx.terminate()
            nginx.wait()


def compare(bench: Bench, rounds: int) -> None:
    rates: dict[str, list[float]] = {name: [] for name in ["driver load", *PLANS]}
    for name in in_turn(rounds, list(rates)):
        rates[name].append(bench.rate(PLANS[name]) if name in PLANS else bench.load())
    print(f"{'one step':>20} {'requests/s':>12} {'of driver load':>15}")
    for name, values in rates.items():
        ratio = statistics.median(own / load for own, load in zip(values, rates["driver load"]))
        print(f"{name:>20} {statistics.median(values):>12.0f} {ratio:>15.3f}")
    tools = {"driver run": bench.rounds_per_cpu} | ({"locust": bench.locust} if bench.locust_at else {})
    measured: dict[str, list[float]] = {name: [] for name in tools}
    for name in in_turn(rounds, list(tools)):
        measured[name].append(tools[name]())
    for name, values in measured.items():
        print(f"three steps, {name}: {statistics.median(values):.0f} rounds a CPU second")
    if "locust" in measured:
        ratios = [own / its for own, its in zip(measured["driver run"], measured["locust"])]
        print(f"driver run / locust: {statistics.median(ratios):.1f}, from {min(ratios):.1f} to {max(ratios):.1f}")


def many(bench: Bench) -> None:
    users = 10_000
    few = of_driver(bench.plan(THREE[:1], "{ users: 100, duration: 5s }", "    pace: 3s\n"), "memory_bytes")
    load = bench.plan(THREE[:1], f"{{ users: {users}, spawn: 2000/s, duration: 15s }}", "    pace: 3s\n")
    delay, http, memory = load["scenario"]["send_delay"], load["http"], of_driver(load, "memory_bytes")
    print(f"{users} users, a request in 3 s each: {http['accepted'] * 1e6 / http['duration_us']:.0f} requests/s")
    print(f"  send delay p50 {delay['p50_us']} µs, p99 {delay['p99_us']} µs, max {delay['max_us']} µs; response p99 {http['p99_us']} µs")
    print(f"  memory {memory / 2**20:.1f} MiB: {memory / users / 1024:.2f} KiB a user, {(memory - few) / (users - 100) / 1024:.2f} KiB for each beyond 100")
