"""Is the arrival latency of each step what the stamps say? Loads a private pipeline with a plan of two traced steps, reads the raw stamps from
Redis, joins them with numpy, and fails unless the report's mean, maximum and percentiles of each step are the same to the microsecond.

  scripts/check steps [--seconds 5]

numpy is installed into a folder that goes with it.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlparse

from shared import Stack, arguments, driver, packages

# By name in the report: which part of the values, and how many of them it takes to bound it from above with 97.5 % confidence (docs/method.md).
QUANTILES = {"p50_us": (0.5, 6), "p90_us": (0.9, 36), "p95_us": (0.95, 72), "p99_us": (0.99, 368), "p999_us": (0.999, 3688), "max_us": (1.0, 1)}

PLAN = """stampede: 1
target: {api}
pipeline: {{ redis: {redis} }}
users:
  u:
    think: 1ms..10ms
    tasks:
      two:
        steps:
          - {{ name: small, POST: /a, json: {{ id: "${{id}}", run: "${{run}}" }} }}
          - {{ name: large, POST: /b, json: {{ id: "${{id}}", run: "${{run}}", data: "${{payload}}{data}" }} }}
load: {{ users: 50, spawn: 50/s, duration: {seconds}s }}
"""


def stamps(redis: str, key: str) -> list[dict]:
    address = urlparse(redis)
    command = ["redis-cli", "-h", address.hostname, "-p", str(address.port), "--raw", "LRANGE", key, "0", "-1"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines if line]


def microseconds(time: str) -> int:
    """Of `seconds.microseconds`, exactly."""
    seconds, _, rest = time.partition(".")
    return int(seconds) * 1_000_000 + int(rest.ljust(6, "0"))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if packages(Path(folder), {"numpy": "numpy"}) is None:
            sys.exit("check steps: numpy cannot be installed: pip install numpy")
        sys.path.append(folder)
        check(args.seconds)


def check(seconds: int) -> None:
    import numpy as np

    program = driver(profile="release")
    with Stack(program, "--every", "10") as stack, tempfile.TemporaryDirectory() as folder:
        plan, out = Path(folder) / "plan.yaml", Path(folder) / "out"
        plan.write_text(PLAN.format(api=stack.at["api"], redis=stack.at["redis"], seconds=seconds, data="x" * 4000))
        subprocess.run([program, "run", str(plan), "--every", "10", "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
        level = json.loads((out / "latest" / "report.json").read_text())["levels"][0]
        run = level["load"]["run"]
        first, last = (stamps(stack.at["redis"], f"trace:{run}:{stage}") for stage in ("apiserver", "mqttclient"))
    columns = []
    for part in (first, last):
        # A stamp's event time is its time less its lag; of several of one message the earliest counts.
        ids = np.array([stamp["id"] for stamp in part], dtype=np.int64)
        times = np.array([microseconds(stamp["time"]) - stamp.get("lag", 0) for stamp in part], dtype=np.int64)
        order = np.lexsort((times, ids))
        ids, times = ids[order], times[order]
        kept = np.concatenate(([True], ids[1:] != ids[:-1]))
        columns.append((ids[kept], times[kept]))
    ids, at_first, at_last = np.intersect1d(columns[0][0], columns[1][0], return_indices=True)
    latency = columns[1][1][at_last] - columns[0][1][at_first]
    faults = []
    for step in level["steps"]:
        mine = np.sort(latency[(ids >> 32) & 0x7FF == step["number"]])
        told = step["arrival"]
        if told["count"] != len(mine) or told["censored"] or not len(mine):
            faults.append(f"{step['name']}: {told['count']} messages and {told['censored']} not arrived in the report, {len(mine)} by numpy")
            continue
        for name, (quantile, least) in QUANTILES.items():
            # Nearest rank; 0.99 × n may come out a hair too high.
            own = int(mine[int(np.ceil(quantile * len(mine) - 1e-9)) - 1]) if len(mine) >= least else None
            print(f"{step['name']:>6} {name:>7}: report {told[name]}, numpy {own}, of {len(mine)} messages")
            if told[name] != own:
                faults.append(f"{step['name']} {name}: {told[name]} in the report, {own} by numpy")
        if abs(told["mean_us"] - mine.mean()) > 1e-3:
            faults.append(f"{step['name']} mean: {told['mean_us']} µs in the report, {mine.mean()} µs by numpy")
    if len(level["steps"]) != 2 or level["books"]["lost"] or faults:
        sys.exit("check steps: " + ("; ".join(faults) or f"books {level['books']}"))
    print(f"check steps: both steps agree to the microsecond, {len(ids)} messages")
