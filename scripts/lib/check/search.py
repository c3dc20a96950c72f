"""Is what `driver find` answers true? Searches a private pipeline several times, and loads it then below and above each answer: fails unless 0.95 × the
middle of the interval is carried, and 1.2 × is not, in most of three loads each.

  scripts/check search [--times 3] [--trial 10s] [--seconds 10] [--loads 3] [-- OPTIONS of find and sweep for the pipeline]

The pipeline is one whose push server has one worker that takes a message at a time, unless OPTIONS say otherwise: it then reaches its limit before the
machine does. Needs a machine that does nothing else meanwhile.
"""

import json
import subprocess
import sys
import tempfile

from shared import arguments, driver

HOLD = ["arrival.p99<50ms", "lost==0"]
PIPELINE = ["--pushserver-args", "--workers 1 --batch 1"]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--trial", default="10s", help="how long a trial of the search lasts at the most (10s)")
    parser.add_argument("--seconds", type=int, default=10, help="how long the loads beside the answer last (10)")
    parser.add_argument("--loads", type=int, default=3, help="how many loads decide beside each answer (3)")
    parser.add_argument("options", nargs="*", metavar="OPTIONS", help="for the pipeline, behind --")
    args = parser.parse_args()
    program, pipeline = driver(), args.options or PIPELINE
    failed = []
    for time in range(1, args.times + 1):
        with tempfile.TemporaryDirectory(prefix="search-") as folder:
            hold = [word for one in HOLD for word in ("--hold", one)]
            found = run([program, "find", *hold, *pipeline, "--trial", args.trial, "--json", "--out", folder])
            answer = json.loads(found.stdout)
            low, high = answer["low_per_sec"], answer["high_per_sec"]
            print(f"search {time}: {answer['sentence']}", flush=True)
            if not low or not high:
                failed.append(f"search {time} has no interval")
                continue
            middle = (low * high) ** 0.5
            for factor, expected in [(0.95, True), (1.2, False)]:
                rate = round(middle * factor)
                carried = [load(program, rate, args.seconds, pipeline, folder) for _ in range(args.loads)]
                print(f"  {factor:.2f} × = {rate}/s: carried in {sum(carried)} of {args.loads} loads of {args.seconds} s", flush=True)
                if (2 * sum(carried) > args.loads) != expected:
                    failed.append(f"search {time}: {factor} × its answer is {'not ' if expected else ''}carried")
    sys.exit("check search: " + "; ".join(failed) if failed else None)


def load(program: str, rate: int, seconds: int, pipeline: list[str], folder: str) -> bool:
    """Whether everything held under this rate."""
    thresholds = [word for one in [*HOLD, "unstable==0"] for word in ("--threshold", one)]
    shape = ["--rates", str(rate), "--duration", f"{seconds}s", "--every", "10", "--max-connections", "1024"]
    return not run([program, "sweep", *shape, *thresholds, *pipeline, "--out", folder], (0, 99)).returncode


def run(command: list[str], codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in codes:
        sys.exit(f"check search: {' '.join(command)} failed with {done.returncode}:\n{done.stderr}")
    return done
