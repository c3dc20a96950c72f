"""Does the dataset of Parquet say what the report says? Sweeps a private pipeline, takes a few stamps and counts away, moves a few into another time scale
and sets a cut-off in the middle of a level, so that nothing is left untried; writes the dataset from the log store and from an exported file; runs the query of
docs/parquet.md, as it stands there, in DuckDB; and fails unless every count, mean, percentile and maximum of every level and hop is that of report.json. Then
pyarrow reads the dataset as docs/parquet.md says, and a second sweep and a second write leave alone what is there.

  scripts/check parquet [--seconds 2] [--reporter PROGRAM]

Builds reporter with its feature parquet, unless one is given. DuckDB and pyarrow are installed into a folder that goes with it, where Python does not have them.
Needs redis-cli.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlparse

from shared import ROOT, Stack, arguments, build, driver, packages

MODULES = {"duckdb": "duckdb", "pyarrow": "pyarrow"}
PAGE = ROOT / "docs" / "parquet.md"
EVERY = 2


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=int, default=2, help="of each level")
    parser.add_argument("--reporter", help="a reporter that was built with --features parquet")
    args = parser.parse_args()
    # `dev` is called `debug` among the folders of cargo.
    reporter = args.reporter or str(build("-p", "reporter", "--features", "parquet", profile="dev").parent / "debug" / "reporter")
    with tempfile.TemporaryDirectory(prefix="stampede-parquet-") as folder:
        environment = packages(Path(folder) / "packages", MODULES)
        if environment is None:
            sys.exit("check parquet: DuckDB or pyarrow cannot be installed: pip install duckdb pyarrow")
        sys.path[:0] = environment.get("PYTHONPATH", "").split(":")
        program = driver(profile="release")
        with Stack(program, "--every", str(EVERY)) as stack:
            Check(reporter, program, stack, Path(folder), args.seconds).all()


class Check:
    def __init__(self, reporter: str, program: str, stack: Stack, folder: Path, seconds: int) -> None:
        self.reporter, self.program, self.folder, self.seconds = reporter, program, folder, seconds
        self.api, self.redis = stack.at["api"], stack.at["redis"]
        # The name that the page gives to the dataset.
        self.months = folder / "months"

    def all(self) -> None:
        runs = self.sweep("1", "3")
        self.harm(runs)
        report = self.report("latest")
        self.write("latest", self.months)
        self.compare(report, "from the log store")
        self.read_with_pyarrow(runs)
        before = contents(self.months)
        file = self.folder / "sweep.stamps.lz4"
        self.run("export", "latest", "--output", file, "--redis", self.redis)
        refused = subprocess.run([self.reporter, "parquet", file, "--out", self.months], capture_output=True, text=True)
        if refused.returncode != 1 or "--replace" not in refused.stderr:
            sys.exit(f"check parquet: a run that is there already was not refused: {refused.stderr}")
        self.run("parquet", file, "--out", self.months, "--replace")
        self.expect(contents(self.months) == before, "the dataset from the file is not that from the log store")
        self.compare(report, "from the file")
        self.sweep("1", "1")
        self.write("latest", self.months)
        after = contents(self.months)
        self.expect(len(after) > len(before) and before.items() <= after.items(), "a second sweep has touched the partitions of the first")
        print(f"a second sweep added {len(after) - len(before)} files and touched none of {len(before)}")

    def sweep(self, first: str, last: str) -> list[str]:
        """Runs one, and gives its runs in the order of their levels."""
        options = ["--from", first, "--to", last, "--duration", f"{self.seconds}s", "--warmup", "200ms", "--every", str(EVERY)]
        self.run("sweep", *options, "--target", self.api, "--redis", self.redis, "--out", self.folder / "reports", by=self.program)
        return [level["load"]["run"] for level in self.levels(self.folder / "reports")]

    def harm(self, runs: list[str]) -> None:
        """The first run stays whole. The second loses messages, and has some of two time scales, and some twice. The third has a cut-off in its middle."""
        _, second, third = runs
        last = f"trace:{second}:mqttclient"
        self.redis_cli("LTRIM", last, "0", "-301")
        for writer, count in pairs(self.redis_cli("HGETALL", f"trace:{second}:counts")):
            if writer.startswith("mqttclient@"):
                self.redis_cli("HSET", f"trace:{second}:counts", writer, str(int(count) - 300 * EVERY))
        for index in range(10, 20):
            entry = json.loads(self.redis_cli("LINDEX", last, str(index))[0])
            self.redis_cli("LSET", last, str(index), json.dumps(entry | {"step": entry.get("step", 0) + 1}))
            self.redis_cli("RPUSH", last, self.redis_cli("LINDEX", last, str(index + 20))[0], "no stamp")
        sweep = self.redis_cli("GET", "trace:latest-sweep")[0]
        described = json.loads(self.redis_cli("GET", f"trace:sweep:{sweep}")[0])
        entries = [json.loads(entry) for entry in self.redis_cli("LRANGE", f"trace:{third}:mqttclient", "0", "-1")]
        times = sorted(round(float(entry["time"]) * 1e6) - entry["lag"] for entry in entries)
        load = next(load for load in described["loads"] if load["run"] == third)
        at_us, arrived = times[len(times) * 9 // 10], len(times) * 9 // 10 * EVERY
        load["cutoff"] = {"at_us": at_us, "moving": True, "queue": 0, "arrived": arrived}
        self.redis_cli("SET", f"trace:sweep:{sweep}", json.dumps(described), "KEEPTTL")

    def report(self, sweep: str) -> dict:
        self.run("report", sweep, "--redis", self.redis, "--out", self.folder / "again")
        levels = {level["load"]["run"]: level for level in self.levels(self.folder / "again")}
        books = [level["books"] for level in levels.values()]
        tried = {
            "a level of which nothing is lost": not books[0]["lost"],
            "losses": books[1]["lost"] > 0,
            "messages in two time scales": list(levels.values())[1]["traces"]["across_steps"] == 10,
            "a cut-off": books[2]["late"] + books[2]["in_flight"] > 0,
            "a percentile beyond all arrivals": any(level["arrival"]["censored"] and level["arrival"]["p999_us"] is None for level in levels.values()),
            "a percentile among censored messages": any(level["arrival"]["censored"] and level["arrival"]["p90_us"] for level in levels.values()),
        }
        missing = [what for what, there in tried.items() if not there]
        self.expect(not missing, f"the sweep is without {', '.join(missing)}: what it is to be compared with shows too little")
        return levels

    def levels(self, out: Path) -> list[dict]:
        return json.loads((out / "latest" / "report.json").read_text())["levels"]

    def write(self, sweep: str, out: Path) -> None:
        self.run("parquet", sweep, "--redis", self.redis, "--out", out)

    def compare(self, levels: dict, source: str) -> None:
        import duckdb

        query = re.search(r"```sql\n(.*?)```", PAGE.read_text(), re.S)[1]
        # DuckDB looks for the dataset where it stands.
        connection = duckdb.connect()
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET file_search_path = '{self.folder}'")
        answer = connection.execute(query)
        names = [column[0] for column in answer.description]
        rows = [dict(zip(names, row)) for row in answer.fetchall()]
        wanted = {(run, latency): told for run, level in levels.items() for latency, told in latencies(level)}
        found = {(row["run"], row["latency"]): row for row in rows}
        self.expect(found.keys() == wanted.keys(), f"DuckDB has {sorted(found)}, the report {sorted(wanted)}")
        figures = [(place, name, told[name], found[place][name]) for place, told in wanted.items() for name in names[2:]]
        wrong = [f"{place} {name}: {told} in the report, {own} in DuckDB" for place, name, told, own in figures if told != own]
        self.expect(not wrong, "\n".join(wrong))
        censored = sum(told["censored"] for told in wanted.values())
        messages = sum(told["count"] for told in wanted.values())
        print(f"{source}: {len(figures)} figures of {len(wanted)} latencies, {messages} measured and {censored} censored: the same in DuckDB and in report.json")

    def read_with_pyarrow(self, runs: list[str]) -> None:
        # The page's own lines, which read the stamps of all runs.
        lines = re.search(r"```python\n(import pyarrow.*?)```", PAGE.read_text(), re.S)[1]
        read: dict = {}
        exec(lines.replace('"months/', f'"{self.folder}/months/'), read)
        stamps = read["stamps"]
        of_run = stamps.group_by(["run", "stage"]).aggregate([("id", "count")]).to_pylist()
        found = {(row["run"], row["stage"]): row["id_count"] for row in of_run}
        listed = {place: self.stamps_of(*place) for place in found}
        self.expect({run for run, _ in found} == set(runs) and found == listed, f"pyarrow reads {found}, the log store has {listed}")
        types = {field.name: str(field.type) for field in stamps.schema}
        self.expect(types["event"] == "timestamp[us, tz=UTC]" and types["run"] == "string", f"pyarrow sees {types}")
        print(f"pyarrow reads {len(stamps)} stamps in {len(found)} partitions, as many as the log store has")

    def stamps_of(self, run: str, stage: str) -> int:
        return sum(entry.startswith("{") for entry in self.redis_cli("LRANGE", f"trace:{run}:{stage}", "0", "-1"))

    def redis_cli(self, *command: str) -> list[str]:
        address = urlparse(self.redis)
        whole = ["redis-cli", "-h", address.hostname, "-p", str(address.port), "--raw", *command]
        return subprocess.run(whole, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()

    def run(self, *command: object, by: str = "") -> None:
        done = subprocess.run([by or self.reporter, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.expect(done.returncode == 0, f"{command[0]} failed with {done.returncode}: {done.stderr}")

    def expect(self, holds: bool, told: str) -> None:
        if not holds:
            sys.exit(f"check parquet: {told}")


def latencies(level: dict) -> list[tuple[str, dict]]:
    return [("arrival", level["arrival"]), ("user", level["user"]), *((hop["stage"], hop["latency"]) for hop in level["hops"])]


def pairs(lines: list[str]) -> list[tuple[str, str]]:
    return list(zip(lines[::2], lines[1::2]))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.parquet")}
