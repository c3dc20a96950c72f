"""How true are the clocks under load? Saturates a private local pipeline with 20 connections and compares, in the same run, what the
disciplined clock and what a plain reading of Redis TIME say with this host's clock, which is Redis's own. Prints both and the
ratio of their errors.

  scripts/bench clock [SECONDS]
"""

import json
import subprocess
import time

from shared import Stack, arguments, driver


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("seconds", type=int, nargs="?", default=20)
    seconds = parser.parse_args().seconds
    with Stack(driver()) as stack:
        command = [stack.driver, "load", stack.at["api"], "-c", "20", "-d", f"{seconds + 2}s", "--run", "load"]
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        command = [stack.driver, "clock", "--redis", stack.at["redis"], "--duration", f"{seconds}s", "--against-host-clock", "--json"]
        clock = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
        load.wait()
    errors = {name: clock[key] for name, key in [("disciplined", "disciplined_abs_error_us"), ("plain", "plain_abs_error_us"), ("error bound", "error_bound_us")]}
    print(f"{'|error|, µs':<24} {'p50':>8} {'p99':>8} {'max':>8}")
    for name, error in errors.items():
        print(f"{name:<24} " + " ".join(f"{error[figure]:>8}" for figure in ("p50", "p99", "max")))
    print(f"plain / disciplined at p99: {errors['plain']['p99'] / max(errors['disciplined']['p99'], 1):.1f}")
