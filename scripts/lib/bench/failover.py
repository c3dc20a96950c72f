"""What does a failover of the queue's Redis cost? Lets a replica take over from its primary again and again, under load (driver chaos --failover),
for each setting of delivery: as it comes and with messages waiting in the queue, with and without --wait-replicas, and planned. Prints a table of messages
accepted, lost and come twice, and of requests that were refused, over all failovers of a setting. They are counts: a debug build tells the same.

  scripts/bench failover [--faults 20] [--rate 500] [--lag 20ms] [--backlog 500ms]
"""

import subprocess
import sys

from shared import arguments, driver

DELIVERIES = [("at-most-once", "list"), ("at-least-once", "list"), ("at-least-once", "stream")]
FIGURES = ["failovers", "accepted", "refused", "lost", "duplicates"]


def measure(program: str, faults: int, options: list[str]) -> dict[str, int]:
    command = [program, "chaos", "--parts", "redis", "--faults", str(faults), "--drain-timeout", "10s", *options]
    # 1 where messages were lost, which is what is to be seen.
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    words = [line.split() for line in done.stdout.splitlines()]
    figures = {line[0]: int(line[1]) for line in words if len(line) == 2 and line[1].isdigit()}
    if "lost" not in figures:
        sys.exit(f"bench failover: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return figures | {"refused": figures["requests"] - figures["accepted"]}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--rate", default="500")
    parser.add_argument("--lag", default="20ms")
    parser.add_argument("--backlog", default="500ms")
    args = parser.parse_args()
    program, backlog = driver(), ["--backlog", args.backlog]
    failovers = {
        "crash": ["--failover", "crash"],
        "crash, waiting": ["--failover", "crash", *backlog],
        "crash, waiting, `--wait-replicas 1`": ["--failover", "crash", *backlog, "--wait-replica"],
        "planned, waiting": ["--failover", "planned", *backlog],
    }
    print(f"| failover | delivery | queue | {' | '.join(FIGURES)} |")
    print(f"|---|---|---|{'---:|' * len(FIGURES)}", flush=True)
    for name, how in failovers.items():
        for delivery, queue in DELIVERIES:
            options = [*how, "--delivery", delivery, "--queue", queue, "--rate", args.rate, "--replica-lag", args.lag]
            figures = measure(program, args.faults, options)
            print(f"| {name} | {delivery} | {queue} | {' | '.join(f'{figures[figure]:,}' for figure in FIGURES)} |", flush=True)

