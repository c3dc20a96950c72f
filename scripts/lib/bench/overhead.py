"""What does tracing cost? Runs three private local pipelines at once, with tracing off, at 1 in 100 and at 1 in 1, and loads
them in turn for a second each, always at the same rate. Prints CPU time per message of every process, arrival latency, and
what was dropped. The rate is fixed, in an open loop, as CPU time per message depends on it: at a higher one more messages
share a wake-up. Machines drift by more than tracing costs, hence the short turns, many rounds, and a new order in each.
Figures are medians over the rounds; ratios are medians of the ratios within a round, with the standard error of that median.

  scripts/bench overhead [--rounds 60] [--seconds 1] [--rate 20000]
"""

import random
import statistics
import sys
import time

from shared import PARTS, Stack, arguments, driver, median, shown

SETTINGS = {"off": None, "1 in 100": 100, "1 in 1": 1}


class Pipeline(Stack):
    """A private local pipeline with one setting of tracing."""

    def __init__(self, driver: str, setting: str) -> None:
        self.every = SETTINGS[setting]
        options = [] if self.every else [f"--{part}-args=--clock off" for part in PARTS[2:]]
        super().__init__(driver, "--every", str(self.every or 100), *options)
        self.tracing = ["--log-store", self.at["redis"], "--every", str(self.every)] if self.every else []

    def measure(self, run: str, seconds: int, rate: int) -> dict:
        """CPU µs a message by process, and what a report tells where there is one."""
        before = self.cpu_ns()
        accepted = self.load("--rate", str(rate), "-d", f"{seconds}s", "-c", "16", "--run", run, *self.tracing)["accepted"]
        # What was accepted last is on its way, and the last stamps are written once in 100 ms.
        time.sleep(0.15)
        after = self.cpu_ns()
        result = {part: (after[part] - before[part]) / accepted / 1000 for part in PARTS}
        result["all"] = sum(result.values())
        result["rate"] = accepted / seconds
        if self.every:
            level = self.level(run)
            result |= {"p50": level["arrival"]["p50_us"], "p99": level["arrival"]["p99_us"]}
            result |= {"dropped": level["traces"]["stamps_dropped"], "lost": level["books"]["lost"]}
        return result


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--rate", type=int, default=20000)
    args = parser.parse_args()
    program = driver()
    results: dict[str, list[dict]] = {setting: [] for setting in SETTINGS}
    pipelines: dict[str, Pipeline] = {}
    try:
        for setting in SETTINGS:
            pipelines[setting] = Pipeline(program, setting)
            pipelines[setting].measure("warmup", 2, args.rate)
        for number in range(args.rounds):
            for setting in random.sample(list(SETTINGS), len(SETTINGS)):
                results[setting].append(pipelines[setting].measure(f"run-{number}", args.seconds, args.rate))
            print(f"round {number + 1} of {args.rounds}", end="\r", file=sys.stderr)
    finally:
        for pipeline in pipelines.values():
            pipeline.__exit__()

    def of(setting: str, key: str) -> str:
        return shown(median([result.get(key) for result in results[setting]]), 12, 2)

    print("CPU µs a message".ljust(20) + "".join(setting.rjust(12) for setting in SETTINGS))
    for part in [*PARTS, "all"]:
        print(part.ljust(20) + "".join(of(setting, part) for setting in SETTINGS))
    for key, name in [("rate", "messages/s"), ("p50", "arrival p50 µs"), ("p99", "arrival p99 µs"), ("dropped", "stamps dropped"), ("lost", "messages lost")]:
        print(name.ljust(20) + "".join(of(setting, key) for setting in SETTINGS))
    for setting in list(SETTINGS)[1:]:
        ratios = [traced["all"] / plain["all"] for traced, plain in zip(results[setting], results["off"])]
        # The standard error of a median is some 1.25 times that of a mean.
        error = 1.25 * statistics.stdev(ratios) / len(ratios) ** 0.5
        print(f"CPU a message, {setting} / off: {statistics.median(ratios):.4f} (± {error:.4f})")
