"""Does the pipeline stay as it is? Loads a private local pipeline (driver stack) at a fixed rate, in an open loop, for a long
time. Each minute is a run of its own: load, drain, report. Prints for each minute the rate, arrival p50 and p99, what was
lost, failed or (on a busy machine) never sent, and the median of the resident memory of every process. Exits with 1 when a
message was lost, a request failed, or memory was not flat: after the first --settle minutes each process must stay within 5 %
of its median.

  scripts/bench soak --rate 10000 [--minutes 30] [--every-seconds 10] [--json FILE]

Redis holds the stamps of all runs for a day, which is growth by design: here those of a minute are deleted (UNLINK) once it is
reported.

The slope of p99 is that of a straight line through the minutes after the first --settle, with two standard errors; it is
printed, not judged. Choose a rate that the pipeline sustains: scripts/bench pipeline tells.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

from shared import PARTS, Stack, arguments, driver

TOLERANCE = 0.05
DRAIN_SECONDS = 20

# Deletes what the log store holds of one run.
FORGET = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('UNLINK', key) end"


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def forget(redis: str, run: str) -> None:
    address = urlparse(redis)
    words = [b"EVAL", FORGET.encode(), b"0", f"trace:{run}:*".encode()]
    command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(command)
        answer = connection.recv(4096)
    if answer.startswith(b"-"):
        sys.exit(f"soak: redis did not delete the stamps of {run}: {answer.decode(errors='replace').strip()}")


class Soak(Stack):
    """The pipeline, and what has been measured of it."""

    def __init__(self, driver: str, args: argparse.Namespace) -> None:
        self.args = args
        self.minutes: list[dict] = []
        super().__init__(driver)

    def minute(self, number: int) -> dict:
        run = f"soak-{number}"
        command = [self.driver, "load", self.at["api"], "--rate", str(self.args.rate), "-d", f"{self.args.minute_seconds}s", "-c", "16"]
        command += ["--run", run, "--log-store", self.at["redis"], "--json"]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        samples: list[dict[str, int]] = []
        while load.poll() is None:
            try:
                load.wait(self.args.every_seconds)
            except subprocess.TimeoutExpired:
                samples.append(self.memory())
        if load.returncode:
            sys.exit(f"soak: driver load failed with {load.returncode}; driver stack has {self.process.poll()}")
        # At least one sample, however short the minute.
        samples.append(self.memory())
        loaded = json.loads(load.stdout.read())
        level = self.level(run, DRAIN_SECONDS)
        forget(self.at["redis"], run)
        minute = {
            "minute": number,
            "rate": loaded["requests_per_sec"],
            "p50_us": level["arrival"]["p50_us"],
            "p99_us": level["arrival"]["p99_us"],
            "lost": level["books"]["lost"],
            "failed": sum(loaded["errors"].values()),
            "unsent": loaded["missed"],
            "stamps_dropped": level["traces"]["stamps_dropped"],
            "samples": samples,
        }
        self.minutes.append(minute)
        minute["memory_kib"] = {part: statistics.median(sample[part] for sample in samples) for part in PARTS}
        return minute

    def memory(self) -> dict[str, int]:
        return {part: resident_kib(self.at["pids"][part]) for part in PARTS}


def faults(minutes: list[dict], settled: list[dict]) -> list[str]:
    found = []
    for key, what in (("lost", "messages were lost"), ("failed", "requests failed")):
        total = sum(minute[key] for minute in minutes)
        if total:
            found.append(f"{total} {what}")
    for part in PARTS:
        values = [minute["memory_kib"][part] for minute in settled]
        middle = statistics.median(values)
        low, high = min(values) / middle - 1, max(values) / middle - 1
        print(f"{part:<11} median {middle / 1024:8.2f} MiB, from {low:+.1%} to {high:+.1%} of it")
        if max(-low, high) > TOLERANCE:
            found.append(f"the memory of {part} was not flat")
    return found


def tell_drift(settled: list[dict]) -> None:
    points = [(minute["minute"], minute["p99_us"]) for minute in settled if minute["p99_us"] is not None]
    if len(points) < 4:
        return print("p99 drift: too few minutes to tell")
    xs, ys = zip(*points)
    slope, intercept = statistics.linear_regression(xs, ys)
    residuals = sum((y - intercept - slope * x) ** 2 for x, y in points)
    spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
    error = 2 * (residuals / (len(points) - 2) / spread) ** 0.5
    word = "no drift shown" if abs(slope) <= error else "it drifts"
    print(f"p99 drift: {slope:+.2f} (± {error:.2f}) µs a minute over {len(points)} minutes: {word}")


def print_minute(minute: dict) -> None:
    p50, p99 = ((minute[key] or 0) / 1000 for key in ("p50_us", "p99_us"))
    memory = "".join(f"{minute['memory_kib'][part] / 1024:>11.2f}" for part in PARTS)
    print(f"{minute['minute']:>6} {minute['rate']:>9.0f} {p50:>8.3f} {p99:>8.3f} {minute['lost']:>6} {minute['failed']:>6} {minute['unsent']:>6}{memory}", flush=True)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rate", type=int, required=True, help="messages a second")
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--settle", type=int, default=5, help="minutes at the start that the verdict leaves out")
    parser.add_argument("--every-seconds", type=float, default=10, help="from one look at the memory to the next")
    parser.add_argument("--minute-seconds", type=int, default=60, help="a shorter minute, to try the script")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures of all minutes")
    args = parser.parse_args()
    if args.rate < 1 or not 0 <= args.settle < args.minutes or args.every_seconds <= 0 or args.minute_seconds < 1:
        parser.error("--rate, --every-seconds and --minute-seconds are above 0, and --minutes is above --settle")
    # Opened now, so that a bad path fails before the long run.
    out = args.json and args.json.open("w")
    soak = Soak(driver(), args)
    try:
        print(f"{'':>53}  resident memory, MiB\n{'minute':>6} {'rate':>9} {'p50 ms':>8} {'p99 ms':>8} {'lost':>6} {'failed':>6} {'unsent':>6}" + "".join(part.rjust(11) for part in PARTS))
        for number in range(1, args.minutes + 1):
            print_minute(soak.minute(number))
    finally:
        soak.__exit__()
        if out:
            settings = {name: value for name, value in vars(args).items() if name != "json"}
            with out:
                json.dump({"settings": settings, "minutes": soak.minutes}, out, indent=1)
    settled = soak.minutes[args.settle :]
    print()
    found = faults(soak.minutes, settled)
    tell_drift(settled)
    print("verdict: " + ("; ".join(found) if found else "memory is flat, and nothing was lost"))
    sys.exit(1 if found else 0)
