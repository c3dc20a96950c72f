"""Does `driver history --check` find what got slower, and nothing else? Runs a pipeline with a Python hop ten times, after which it must find nothing
(exit code 0), and then once more with a `sleep` in that hop, which it must find and name (exit code 99).

  scripts/check history [--runs 10] [--seconds 2] [--sleep-ms 20]

redis-py is installed into a folder that goes with it.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from shared import ROOT, Stack, arguments, driver, packages

HOP = ROOT / "examples/python"
PATH = "send,apiserver,enqueue,enricher,pushserver,publish,mqttclient"
ENRICHES = "        enriched = ["


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=2, help="how long each load lasts (2)")
    parser.add_argument("--sleep-ms", type=int, default=20, help="how long the slow hop sleeps for each batch (20)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        environment = packages(Path(folder) / "packages", {"redis": "redis"})
        if environment is None:
            sys.exit("check history: redis-py cannot be installed: pip install redis")
        slow = (HOP / "enricher.py").read_text()
        if slow.count(ENRICHES) != 1:
            sys.exit(f"check history: examples/python/enricher.py has no line that begins with {ENRICHES.strip()}: say here where it enriches")
        slow = slow.replace(ENRICHES, f"        import time; time.sleep({args.sleep_ms / 1000})\n{ENRICHES}")
        (Path(folder) / "slow.py").write_text(slow)
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": f"{ROOT / 'sdk/python'}:{environment.get('PYTHONPATH', '')}"}
        program, out = driver("release"), Path(folder) / "reports"
        with Stack(program, "--pushserver-args", "--queue-key stampede:enriched", "--every", "5") as stack:
            for _ in range(args.runs):
                sweep(stack, HOP / "enricher.py", out, args.seconds, environment)
            check(program, out, 0)
            sweep(stack, Path(folder) / "slow.py", out, args.seconds, environment)
            told = check(program, out, 99)
            if "arrival p50" not in told and "arrival p99" not in told:
                sys.exit("check history: it does not say that arrival latency is worse")


def sweep(stack: Stack, hop: Path, out: Path, seconds: int, environment: dict[str, str]) -> None:
    command = [sys.executable, str(hop), "--redis", stack.at["redis"], "--from", "stampede:queue", "--to", "stampede:enriched", "--every", "5"]
    enricher = subprocess.Popen(command, env=environment)
    try:
        shape = ["--rates", "500", "--duration", f"{seconds}s", "--warmup", "500ms", "--every", "5", "--path", PATH, "--out", str(out)]
        subprocess.run([stack.driver, "sweep", "--target", stack.at["api"], "--redis", stack.at["redis"], *shape], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        enricher.terminate()
        enricher.wait(20)


def check(program: str, out: Path, expected: int) -> str:
    done = subprocess.run([program, "history", "--check", "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="", flush=True)
    if done.returncode != expected:
        sys.exit(f"check history: driver history --check ended with {done.returncode}, not {expected}")
    return done.stdout
