"""Is our pipeline better than the founding design? Loads the reference (crates/driver/examples/founding: one LPUSH, one BRPOP
and one PUBLISH for each message, on ordinary libraries) and ours in turn with the same load, from `driver sweep`. Each side
has a redis-server and a mosquitto of its own with the settings of `driver stack`, is started anew in each round and runs
alone; every round begins with the other side. Prints for each side and level accepted messages/s, arrival p50 and p99, what
was lost, what still waited after the load and how long it drained; then for both sides, with the ratio ours / reference:

  arrival p50      at the lowest level
  sustained rate   the most messages/s among the levels whose arrival p99 is at most 50 ms, where nothing was lost or
                   refused and nothing was left waiting
  CPU a message    of each process, at 20 connections or else the highest level; with what it costs to read the stamps back

With wrk the queue is looked at only once the intake has stood still for 0.4 s: a backlog then shows in p99 first. Figures are
medians over the rounds; ratios are medians of the ratios within a round.

  scripts/bench pipeline [--rounds 3] [--seconds 5] [--levels 1,2,4,8,12,16,20,32,48,64] [--generator wrk|driver] [--json FILE]

Needs redis-server and mosquitto (scripts/setup), and wrk (scripts/setup --with wrk) unless the generator is driver.
"""

import argparse
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from shared import PARTS, arguments, build, cpu_ns, in_turn, median, shown

SIDES = ["reference", "ours"]
P99_LIMIT_US = 50_000
CPU_LEVEL = 20
READY_SECONDS = 20

# Both as in crates/stack/src/redis.rs and crates/stack/src/mosquitto.rs.
REDIS_ARGS = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--list-compress-depth", "1"]
MOSQUITTO_CONF = """listener {port} 127.0.0.1
allow_anonymous true
{user}set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 0
persistence false
log_dest stderr
"""


def find(program: str, remedy: str) -> str:
    # Debian keeps servers in a folder that is not on every user's PATH.
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return found or sys.exit(f"bench-pipeline: {program} is not installed: {remedy}")


def two_free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for listener in (one, other):
            listener.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


class Pipeline:
    """One side's five processes, in a folder of their own."""

    def __init__(self, side: str, programs: dict[str, str], every: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bench-pipeline-"))
        self.processes: dict[str, subprocess.Popen] = {}
        try:
            self.start(side, programs, every)
        except BaseException:
            self.stop()
            raise

    def start(self, side: str, programs: dict[str, str], every: int) -> None:
        redis, broker = two_free_ports()
        user = "user root\n" if os.geteuid() == 0 else ""
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text(MOSQUITTO_CONF.format(port=broker, user=user))
        self.spawn("redis", [programs["redis-server"], *REDIS_ARGS, "--port", str(redis)])
        self.spawn("mosquitto", [programs["mosquitto"], "-c", str(configuration)])
        self.listening("redis", redis)
        self.listening("mosquitto", broker)
        self.redis = f"redis://127.0.0.1:{redis}"
        store, mqtt = ["--redis", self.redis, "--every", str(every)], ["--mqtt", f"mqtt://127.0.0.1:{broker}"]
        roles = {"apiserver": [], "pushserver": mqtt, "mqttclient": mqtt}
        names = {"apiserver": "api", "pushserver": "push", "mqttclient": "client"}
        for role, own in roles.items():
            command = [programs["driver"], "role", role] if side == "ours" else [programs["founding"], names[role]]
            self.spawn(role, [*command, *store, *own])
        self.api = "http://" + self.ready_line("apiserver")["listen"]
        self.ready_line("pushserver")
        self.ready_line("mqttclient")

    def spawn(self, part: str, command: list[str]) -> None:
        with open(self.log(part), "w") as log:
            output = subprocess.PIPE if part in PARTS[2:] else log
            self.processes[part] = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=log)

    def log(self, part: str) -> Path:
        return self.folder / f"{part}.log"

    def listening(self, part: str, port: int) -> None:
        def connects() -> bool:
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        self.within(part, connects)

    def ready_line(self, part: str) -> dict:
        output = self.processes[part].stdout
        self.within(part, lambda: bool(select.select([output], [], [], 0)[0]))
        line = output.readline()
        return json.loads(line) if line else self.fail(part)

    def within(self, part: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            if self.processes[part].poll() is not None or time.monotonic() > deadline:
                self.fail(part)
            time.sleep(0.02)

    def fail(self, part: str) -> None:
        log = self.log(part).read_text(errors="replace").splitlines()[-20:]
        sys.exit("\n".join([f"bench-pipeline: {part} did not become ready; its log ends with:", *log]))

    def cpu(self) -> dict[str, int]:
        return {part: cpu_ns(self.processes[part].pid) for part in PARTS}

    def stop(self) -> None:
        # In the order of the stream, so that each can finish what it has accepted.
        for part in reversed(PARTS):
            process = self.processes.get(part)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Bench:
    """What is measured with: the same for both sides."""

    def __init__(self, args: argparse.Namespace, programs: dict[str, str]) -> None:
        self.args = args
        self.programs = programs

    def measure(self, side: str) -> dict[int, dict]:
        """All levels of one side, by connections."""
        pipeline = Pipeline(side, self.programs, self.args.every)
        try:
            self.load(pipeline, max(self.args.levels), self.args.warmup)
            return {connections: self.level(pipeline, connections) for connections in self.args.levels}
        finally:
            pipeline.stop()

    def level(self, pipeline: Pipeline, connections: int) -> dict:
        before = pipeline.cpu()
        level = self.load(pipeline, connections, self.args.seconds)
        after = pipeline.cpu()
        http, arrival, books = level["load"]["http"], level["arrival"], level["books"]
        accepted = http["accepted"]
        if not accepted:
            sys.exit(f"bench-pipeline: nothing was accepted at {connections} connections: {http['errors']}")
        result = {
            "accepted": accepted,
            "rate": accepted * 1e6 / http["duration_us"],
            "p50_us": arrival["p50_us"],
            "p99_us": arrival["p99_us"],
            "max_us": arrival["max_us"],
            "samples": arrival["count"],
            "lost": books["lost"],
            "stamps_dropped": level["traces"]["stamps_dropped"],
            "errors": http["errors"],
            "backlog": level["load"]["backlog"],
            "drain_us": level["load"]["drain_us"],
            "cpu_us": {part: (after[part] - before[part]) / accepted / 1000 for part in PARTS},
        }
        result["cpu_us"]["all"] = sum(result["cpu_us"].values())
        # Where the sample is too small for a p99, the longest latency stands in for it: it is no shorter.
        longest = result["max_us"] if result["p99_us"] is None else result["p99_us"]
        fast = longest is not None and longest <= P99_LIMIT_US
        # wrk leaves without the answers to its last requests: they may arrive although nobody was told that they were enqueued.
        result["sustained"] = fast and result["lost"] <= 0 and result["backlog"] == 0 and not result["errors"]
        return result

    def load(self, pipeline: Pipeline, connections: int, seconds: int) -> dict:
        """One level of `driver sweep`, which also drains the pipeline."""
        command = [self.programs["driver"], "sweep", "--target", pipeline.api, "--redis", pipeline.redis, "--json"]
        command += ["--generator", self.args.generator, "--every", str(self.args.every), "--out", str(pipeline.folder / "reports")]
        command += ["--from", str(connections), "--to", str(connections), "--duration", f"{seconds}s", "--warmup", "0s"]
        swept = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if swept.returncode or not swept.stdout.strip():
            sys.exit(f"bench-pipeline: driver sweep failed with {swept.returncode}:\n{swept.stderr}")
        return json.loads(swept.stdout.splitlines()[-1])


def sustained(levels: dict[int, dict]) -> float | None:
    return max((level["rate"] for level in levels.values() if level["sustained"]), default=None)


def print_levels(side: str, rounds: list[dict[int, dict]]) -> None:
    print(f"{side}\n{'connections':>11} {'messages/s':>11} {'p50 ms':>9} {'p99 ms':>9} {'lost':>6} {'backlog':>8} {'drain s':>8} {'sustained':>10}")
    for connections in rounds[0]:
        levels = [levels[connections] for levels in rounds]

        def of(key: str, scale: float = 1) -> float | None:
            value = median([level[key] for level in levels])
            return None if value is None else value / scale

        times = sum(level["sustained"] for level in levels)
        # A loss in one round must not hide behind a median.
        lost = max(level["lost"] for level in levels)
        figures = f"{connections:>11} {shown(of('rate'), 11, 0)} {shown(of('p50_us', 1e3), 9, 3)} {shown(of('p99_us', 1e3), 9, 3)}"
        print(f"{figures} {lost:>6} {shown(of('backlog'), 8, 0)} {shown(of('drain_us', 1e6), 8, 2)} {f'{times} of {len(levels)}':>10}")
    print()


def print_comparison(results: dict[str, list[dict[int, dict]]], levels: list[int]) -> None:
    lowest, cpu_level = min(levels), CPU_LEVEL if CPU_LEVEL in levels else max(levels)

    def cpu_of(part: str) -> Callable[[dict[int, dict]], float | None]:
        return lambda levels: levels[cpu_level]["cpu_us"][part]

    figures: list[tuple[str, Callable[[dict[int, dict]], float | None], int]] = [
        (f"arrival p50 µs, {lowest} connections", lambda levels: levels[lowest]["p50_us"], 0),
        ("sustained messages/s", sustained, 0),
    ]
    figures += [(f"CPU µs a message, {cpu_level} c., {part}", cpu_of(part), 2) for part in [*PARTS, "all"]]
    print(f"{'':<40}" + "".join(side.rjust(12) for side in SIDES) + f"{'ours / it':>12}")
    for name, figure, decimals in figures:
        values = {side: [figure(levels) for levels in results[side]] for side in SIDES}
        ratio = median([ours / its for ours, its in zip(values["ours"], values["reference"]) if ours is not None and its])
        print(f"{name:<40}" + "".join(shown(median(values[side]), 12, decimals) for side in SIDES) + shown(ratio, 12, 3))


def parse_levels(text: str) -> list[int]:
    levels = sorted({int(level) for level in text.split(",")})
    if levels[0] < 1:
        raise ValueError(text)
    return levels


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each level")
    parser.add_argument("--warmup", type=int, default=2, help="seconds of load at the highest level before the first one")
    parser.add_argument("--levels", type=parse_levels, default="1,2,4,8,12,16,20,32,48,64", help="connections, separated by commas")
    parser.add_argument("--generator", choices=["wrk", "driver"], default="wrk")
    parser.add_argument("--every", type=int, default=100, help="stamp 1 message in N, on both sides")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures of all rounds")
    args = parser.parse_args()
    if min(args.rounds, args.seconds, args.warmup, args.every) < 1:
        parser.error("--rounds, --seconds, --warmup and --every are at least 1")
    programs = {name: find(name, "run scripts/setup") for name in ("redis-server", "mosquitto")}
    if args.generator == "wrk":
        find("wrk", "run scripts/setup --with wrk, or give --generator driver")
    # Opened now, so that a bad path fails before the long run.
    out = args.json and args.json.open("w")
    built = build("-p", "driver", "--bin", "driver", "--example", "founding")
    programs |= {"driver": str(built / "driver"), "founding": str(built / "examples" / "founding")}
    bench = Bench(args, programs)
    results: dict[str, list[dict[int, dict]]] = {side: [] for side in SIDES}
    for side in in_turn(args.rounds, SIDES):
        results[side].append(bench.measure(side))
    if out:
        settings = {name: value for name, value in vars(args).items() if name != "json"}
        with out:
            json.dump({"settings": settings, "rounds": results}, out, indent=1)
    for side in SIDES:
        print_levels(side, results[side])
    print_comparison(results, args.levels)
