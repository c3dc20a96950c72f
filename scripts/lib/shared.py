"""What benchmarks and checks share: how the programs are built, a pipeline to load, what processes cost, and rounds in turn."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ["redis", "mosquitto", "apiserver", "pushserver", "mqttclient"]


def arguments(doc: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=sys.argv[0], description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def build(*what: str, profile: str = "dist") -> Path:
    """Builds with these arguments of cargo, and tells the folder of the programs."""
    subprocess.run(["cargo", "build", "--quiet", "--profile", profile, "--locked", *what], cwd=ROOT, check=True)
    metadata = subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return Path(json.loads(metadata.stdout)["target_directory"]) / profile


def packages(folder: Path, modules: dict[str, str]) -> dict[str, str] | None:
    """An environment in which Python finds these modules, each with the name of its package. Where one is missing, all are installed into the
    folder; None where that fails."""
    if not subprocess.run([sys.executable, "-c", f"import {', '.join(modules)}"], stderr=subprocess.DEVNULL).returncode:
        return dict(os.environ)
    install = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(folder), *modules.values()]
    # In a folder of its own nothing of the system is overwritten, whoever installs it.
    failed = subprocess.run(install, stdout=sys.stderr, env=os.environ | {"PIP_ROOT_USER_ACTION": "ignore"}).returncode
    return None if failed else os.environ | {"PYTHONPATH": str(folder)}


def driver(profile: str = "dist") -> str:
    """The driver that STAMPEDE_DRIVER names, or else a new one."""
    return os.environ.get("STAMPEDE_DRIVER") or str(build("-p", "driver", profile=profile) / "driver")


class Stack:
    """A private local pipeline (driver stack). `at` holds its addresses and process ids."""

    def __init__(self, driver: str, *options: str) -> None:
        self.driver = driver
        # In a process group of its own, so that Ctrl-C ends what loads it first. Not in a session of its own: Linux may give each of those
        # its own share of the processors (autogroup).
        self.process = subprocess.Popen([driver, "stack", "--json", *options], stdout=subprocess.PIPE, preexec_fn=os.setpgrp)
        try:
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"{sys.argv[0]}: driver stack did not start")
            self.at = json.loads(line)
        except BaseException:
            self.__exit__(True)
            raise

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, failed: object = None, *_: object) -> None:
        self.process.terminate()
        if self.process.wait() and not failed:
            sys.exit(f"{sys.argv[0]}: driver stack ended with {self.process.returncode}")

    def load(self, *options: str) -> dict:
        """The result of driver load."""
        command = [self.driver, "load", self.at["api"], "--json", *options]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout)

    def level(self, run: str, within: float = 0) -> dict:
        """The level of a run's report, once all stages have counted as many: for so many seconds the last messages, or counts, may still be on their way."""
        deadline = time.monotonic() + within
        with tempfile.TemporaryDirectory() as out:
            while True:
                subprocess.run([self.driver, "report", run, "--redis", self.at["redis"], "--out", out], stdout=subprocess.DEVNULL, check=True)
                level = json.loads((Path(out) / "latest" / "report.json").read_text())["levels"][0]
                # Each service writes its counts by itself.
                if len({count for _, count in level["books"]["passed"]}) == 1 or time.monotonic() >= deadline:
                    return level
                time.sleep(0.2)

    def cpu_ns(self) -> dict[str, int]:
        return {part: cpu_ns(self.at["pids"][part]) for part in PARTS}


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process: schedstat counts nanoseconds where stat counts hundredths of a second."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


def run(command: list[str]) -> tuple[str, float, float, int]:
    """Output, wall seconds, CPU seconds and peak memory in bytes of a command."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{sys.argv[0]}: {command[0]} failed with {process.returncode}")
    return output, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def in_turn(rounds: int, names: list[str]) -> Iterator[str]:
    """The names, once in each round. Each round begins with another one, so that none always follows the same one."""
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}   ", end="\r", file=sys.stderr)
        first = number % len(names)
        yield from names[first:] + names[:first]
    print(" " * 20, end="\r", file=sys.stderr)


def median(values: list) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def shown(value: float | None, width: int, decimals: int) -> str:
    return ("n/a" if value is None else f"{value:.{decimals}f}").rjust(width)
