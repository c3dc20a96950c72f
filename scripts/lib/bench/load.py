"""Is our load generator faster than wrk and oha? Loads a bare axum echo server in turn with wrk and scripts/post.lua (a
fresh id in each body), with oha (the same body each time), and with driver load (a fresh id), at 1, 8 and 20 connections.
Prints requests/s, CPU time per request of the generator, its peak memory, and the ratios, each the median over the rounds.

  scripts/bench load [--rounds 5] [--seconds 5] [--memory-seconds 60]

wrk and oha must be on PATH; the one that is missing is left out, and the output says so. --memory-seconds is the length of
the run whose peak memory counts.
"""

import json
import re
import shutil
import statistics
import subprocess
import sys

from shared import ROOT, arguments, build, in_turn, run


def wrk(url: str, connections: int, seconds: int) -> tuple[int, float, int]:
    threads = min(2, connections)
    command = ["wrk", "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s", "-s", str(ROOT / "scripts/post.lua"), url]
    output, _, cpu, memory = run(command)
    return int(re.search(r"(\d+) requests in", output)[1]), cpu, memory


def oha(url: str, connections: int, seconds: int) -> tuple[int, float, int]:
    body = json.dumps({"run": "wrk", "id": 1234567890123456, "data": "x" * 64})
    command = ["oha", "--no-tui", "--output-format", "json", "-c", str(connections), "-z", f"{seconds}s", "-m", "POST", "-T", "application/json", "-d", body, url]
    output, _, cpu, memory = run(command)
    return sum(json.loads(output)["statusCodeDistribution"].values()), cpu, memory


def make_driver(driver: str):
    def load(url: str, connections: int, seconds: int) -> tuple[int, float, int]:
        output, _, cpu, memory = run([driver, "load", url, "-c", str(connections), "-d", f"{seconds}s", "--json"])
        return json.loads(output)["accepted"], cpu, memory

    return load


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--memory-seconds", type=int, default=60)
    args = parser.parse_args()
    built = build("-p", "driver", "-p", "load", "--bin", "driver", "--example", "echo")
    driver, echo = str(built / "driver"), str(built / "examples" / "echo")
    tools = {"driver": make_driver(driver), "wrk": wrk, "oha": oha}
    for name in ("wrk", "oha"):
        if not shutil.which(name):
            print(f"{name} is not on PATH: left out", file=sys.stderr)
            del tools[name]
    server = subprocess.Popen([echo], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        print(f"{'connections':>11} {'tool':>8} {'requests/s':>12} {'CPU µs/request':>15} {'ours / it':>10}")
        for connections in (1, 8, 20):
            rates: dict[str, list[float]] = {name: [] for name in tools}
            cpus: dict[str, list[float]] = {name: [] for name in tools}
            for name in in_turn(args.rounds, list(tools)):
                requests, cpu, _ = tools[name](url, connections, args.seconds)
                rates[name].append(requests / args.seconds)
                cpus[name].append(cpu / requests * 1e6)
            for name in tools:
                ratio = statistics.median(ours / its for ours, its in zip(rates["driver"], rates[name]))
                print(f"{connections:>11} {name:>8} {statistics.median(rates[name]):>12.0f} {statistics.median(cpus[name]):>15.2f} {ratio:>10.2f}")
        _, _, memory = tools["driver"](url, 20, args.memory_seconds)
        print(f"peak memory of driver load after {args.memory_seconds} s at 20 connections: {memory / 2**20:.1f} MiB")
    finally:
        server.terminate()
        server.wait()
