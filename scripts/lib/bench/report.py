"""Is our report faster than DuckDB? Makes up the stamps of one load (six stages, 1 in 1 sampled, several writers) and then, in
turn, has reporter make its report from the file of raw stamps and from a private redis-server that holds the same entries, and
has DuckDB join the same entries by id and compute count, p50, p90, p95, p99, p99.9 and max of every hop, of arrival and of user
latency. DuckDB reads them as lines of JSON with its fast reader and uses all cores; of its time only the query counts, not the
start of Python. Ours is the whole program, with its intervals, pictures and files. Prints wall time and peak memory, medians
over the rounds, and the ratios; and fails where the two do not give the same figures.

  scripts/bench report [--stamps 10000000] [--rounds 3] [--duckdb 1.4.2] [--keep DIR]

Needs Python with venv, redis-server, some 3 GB of disk and 4 GB of memory for 10 million stamps. DuckDB is installed into a
temporary folder. --keep has the stamps and DuckDB made in DIR, and used again where they are there.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from shared import arguments, build, in_turn, run

STAGES = ["send", "apiserver", "enqueue", "pushserver", "publish", "mqttclient"]
QUANTILES = {"p50_us": 0.5, "p90_us": 0.9, "p95_us": 0.95, "p99_us": 0.99, "p999_us": 0.999}
# Name, from which stage, to which.
SPANS = [(STAGES[i], i - 1, i) for i in range(1, 6)] + [("arrival", 1, 5), ("user", 0, 5)]


def query(folder: Path) -> str:
    """One query: six files joined by id, and all figures of the seven latencies."""
    columns = "{id: 'UBIGINT', time: 'VARCHAR', lag: 'BIGINT'}"
    stage = (
        "{stage} AS (SELECT id, replace(time, '.', '')::BIGINT - lag AS {stage}_us FROM "
        "read_json('{folder}/{stage}.ndjson', format = 'newline_delimited', columns = {columns}))"
    )
    stages = ", ".join(stage.format(stage=name, folder=folder, columns=columns) for name in STAGES)
    joins = " ".join(f"JOIN {name} USING (id)" for name in STAGES[1:])
    quantiles = ", ".join(map(str, QUANTILES.values()))
    figures = []
    for _, begin, end in SPANS:
        span = f"{STAGES[end]}_us - {STAGES[begin]}_us"
        figures.append(f"[count({span}), max({span})] || quantile_disc({span}, [{quantiles}])")
    return f"WITH {stages} SELECT {', '.join(figures)} FROM {STAGES[0]} {joins}"


# Runs in DuckDB's own Python. The clock starts when all is imported and connected.
CHILD = """
import duckdb, json, sys, time
connection = duckdb.connect()
connection.execute("SET enable_progress_bar = false")
begin = time.perf_counter()
row = connection.execute(sys.argv[1]).fetchone()
print(json.dumps({"seconds": time.perf_counter() - begin, "row": row}))
"""


def install(folder: Path, version: str) -> str:
    """A Python that has DuckDB."""
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"duckdb=={version}"], check=True)
    return str(python)


class Redis:
    """A private redis-server that holds the stamps."""

    def __init__(self, folder: Path) -> None:
        socket = folder / "redis.sock"
        options = ["--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--list-compress-depth", "1"]
        self.process = subprocess.Popen(["redis-server", *options, "--dir", folder], stdout=subprocess.DEVNULL)
        self.url = f"redis+unix://{socket}"
        deadline = time.monotonic() + 10
        while not socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit("bench report: redis-server does not start")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def ours(reporter: str, arguments: list[str], out: Path) -> tuple[float, float, dict]:
    _, seconds, _, memory = run([reporter, "report", *arguments, "--out", str(out)])
    level = json.loads((out / "latest" / "report.json").read_text())["levels"][0]
    latencies = {hop["stage"]: hop["latency"] for hop in level["hops"]} | {"arrival": level["arrival"], "user": level["user"]}
    keys = ["count", "max_us", *QUANTILES]
    return seconds, memory / 2**20, {name: [latencies[name][key] for key in keys] for name, _, _ in SPANS}


def duckdb(python: str, ndjson: Path) -> tuple[float, float, dict]:
    output, _, _, memory = run([python, "-c", CHILD, query(ndjson)])
    result = json.loads(output)
    return result["seconds"], memory / 2**20, {name: row for (name, _, _), row in zip(SPANS, result["row"])}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--stamps", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duckdb", default="1.4.2", help="its version")
    parser.add_argument("--keep", type=Path, metavar="DIR")
    args = parser.parse_args()
    if not shutil.which("redis-server"):
        sys.exit("bench report: redis-server is missing: scripts/setup installs it")
    built = build("-p", "reporter", "--bin", "reporter", "-p", "measure", "--example", "synthesize")
    reporter, synthesize = str(built / "reporter"), str(built / "examples" / "synthesize")
    with tempfile.TemporaryDirectory(prefix="stampede-bench-") as temporary:
        folder = (args.keep or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        python = install(folder, args.duckdb)
        raw, ndjson = folder / f"{args.stamps}.stamps.lz4", folder / str(args.stamps)
        if not raw.exists():
            subprocess.run([synthesize, "--stamps", str(args.stamps), "--raw", raw, "--ndjson", ndjson], check=True)
        redis = Redis(Path(temporary))
        try:
            subprocess.run([reporter, "import", raw, "--redis", redis.url], check=True, stdout=subprocess.DEVNULL)
            measure(args.rounds, Path(temporary), {
                "file": lambda out: ours(reporter, [str(raw)], out),
                "log store": lambda out: ours(reporter, ["synthetic-sweep", "--redis", redis.url], out),
                "duckdb": lambda _: duckdb(python, ndjson),
            })
        finally:
            redis.stop()


def measure(rounds: int, folder: Path, programs: dict) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    memory: dict[str, list[float]] = {name: [] for name in programs}
    figures: dict[str, dict] = {}
    for name in in_turn(rounds, list(programs)):
        took, peak, figures[name] = programs[name](folder / "reports")
        seconds[name].append(took)
        memory[name].append(peak)
    print(f"{'from':>10} {'seconds':>9} {'MiB':>7} {'time / DuckDB':>14} {'memory / DuckDB':>16}")
    for name in programs:
        time_ratio = statistics.median(mine / its for mine, its in zip(seconds[name], seconds["duckdb"]))
        memory_ratio = statistics.median(mine / its for mine, its in zip(memory[name], memory["duckdb"]))
        print(f"{name:>10} {statistics.median(seconds[name]):>9.2f} {statistics.median(memory[name]):>7.0f} {time_ratio:>14.2f} {memory_ratio:>16.2f}")
    differing = [(name, span) for name in programs for span in figures["duckdb"] if figures[name][span] != figures["duckdb"][span]]
    for name, span in differing:
        print(f"{span}: {name} says {figures[name][span]}, DuckDB {figures['duckdb'][span]}", file=sys.stderr)
    if differing:
        sys.exit(1)
    print("count, max, p50, p90, p95, p99 and p99.9 of every hop, of arrival and of user latency: the same from all")
