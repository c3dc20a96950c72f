"""What do containers cost? Sweeps a private local pipeline (driver sweep) and the one of docker-compose.yml in turn, in one run on the
same machine, and prints medians over the rounds and the ratio of containers to local. Both run the very same executable: the local one
is taken out of the image (STAMPEDE_IMAGE, stampede:local), which is to be built before (scripts/compose build apiserver).

  scripts/bench compose [--rounds 5] [--levels 1,4,16] [--seconds 3]

STAMPEDE_DRIVER names another local executable, where that of the image does not run. Prints how busy the machine was with other work
before it began, as a busy one makes ratios noisy.
"""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from shared import ROOT, arguments, in_turn

COMPOSE = str(ROOT / "scripts" / "compose")
# A level that nobody else disturbs has enough samples for a p99 then.
EVERY = "10"
COLUMNS = ["rps", "http_mean_ms", "arrival_p50_ms", "arrival_p99_ms"]


class Containers:
    """The pipeline of docker-compose.yml, under a project of its own."""

    def __init__(self, reports: str) -> None:
        ports = {f"{name}_PORT": "0" for name in ("API", "REDIS", "MQTT")}
        nothing = {name: "" for name in ("COMPOSE_PROFILES", "STAMPEDE_REMOTE_WRITE", *(f"STAMPEDE_{part}_ARGS" for part in ("APISERVER", "PUSHSERVER", "MQTTCLIENT")))}
        project = {"COMPOSE_PROJECT_NAME": f"stampede-bench-{os.getpid()}", "REPORTS": reports, "STAMPEDE_EVERY": EVERY}
        self.environment = os.environ | ports | nothing | project
        self.compose("up", "-d", "--no-build", "apiserver", "pushserver", "mqttclient")

    def compose(self, *arguments: str) -> None:
        done = subprocess.run([COMPOSE, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"bench compose: compose {arguments[0]} failed:\n{done.stdout}")

    def sweep(self, arguments: list[str]) -> None:
        self.compose("run", "--rm", "-T", "driver", "sweep", *arguments)

    def stop(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans")


def rows(reports: str) -> dict[str, dict[str, float]]:
    """The newest report: by concurrency, its columns."""
    with (Path(reports) / "latest" / "report.tsv").open() as table:
        levels = list(csv.DictReader(table, delimiter="\t"))
    lost = sum(int(level["lost"]) for level in levels)
    if lost:
        sys.exit(f"bench compose: {lost} messages were lost in {reports}")
    return {level["concurrency"]: {column: float(level[column]) for column in COLUMNS if level[column] != "n/a"} for level in levels}


def executable(folder: str) -> str:
    """The image's own, outside of it."""
    image = os.environ.get("STAMPEDE_IMAGE", "stampede:local")
    container = subprocess.run(["docker", "create", image], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    try:
        subprocess.run(["docker", "cp", f"{container}:/usr/local/bin/driver", folder], check=True, stdout=subprocess.DEVNULL)
    finally:
        subprocess.run(["docker", "rm", container], check=True, stdout=subprocess.DEVNULL)
    return str(Path(folder) / "driver")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--levels", default="1,4,16")
    parser.add_argument("--seconds", type=int, default=3)
    args = parser.parse_args()
    subprocess.run([COMPOSE, "--check"], check=True)
    shape = ["--levels", args.levels, "--duration", f"{args.seconds}s", "--warmup", "1s", "--every", EVERY]
    print(f"load average before: {os.getloadavg()[0]:.1f} of {os.cpu_count()} processors")
    results: dict[str, list] = {"local": [], "containers": []}
    with tempfile.TemporaryDirectory() as local, tempfile.TemporaryDirectory() as mounted:
        driver = os.environ.get("STAMPEDE_DRIVER") or executable(local)
        containers = Containers(mounted)
        try:
            for side in in_turn(args.rounds, list(results)):
                if side == "local":
                    subprocess.run([driver, "sweep", *shape, "--out", local], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
                    results[side].append(rows(local))
                else:
                    containers.sweep(shape)
                    results[side].append(rows(mounted))
        finally:
            containers.stop()
    print(f"{'connections':<13}{'':<16}{'local':>12}{'containers':>12}{'ratio':>8}")
    for level in results["local"][0]:
        for column in COLUMNS:
            pairs = [(outside[level].get(column), inside[level].get(column)) for outside, inside in zip(*results.values())]
            values = list(zip(*(pair for pair in pairs if None not in pair)))
            if not values:
                continue
            ratios = [inside / outside for outside, inside in zip(*values)]
            medians = [statistics.median(one) for one in values]
            spread = f"  ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"{level:<13}{column:<16}{medians[0]:>12.3f}{medians[1]:>12.3f}{statistics.median(ratios):>8.2f}{spread}")
