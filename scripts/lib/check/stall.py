"""Does a stall of the API show? Loads a server that answers after 2 ms and stops for one second in the middle: by rounds a second, by paced
users, and by users who wait for their answers. Fails unless the first two show the stall in p99, and the third tells the load that was withheld,
within 5 % of what a simulation of its users gives that knows nothing of the report.

  scripts/check stall [--seconds 8]
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from shared import arguments, driver

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
SERVICE_S, STALL_S, USERS, THINK_S = 0.002, 1.0, 40, 0.1


class Server:
    """One that answers after a while, but for a second that begins so long after its first request."""

    def __init__(self, stall_after: float) -> None:
        self.stall_after, self.first = stall_after, 0.0
        self.port, self.ready = 0, threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True).start()
        self.ready.wait()

    async def run(self) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await server.serve_forever()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.first = self.first or time.monotonic()
                done = time.monotonic() + SERVICE_S
                begin = self.first + self.stall_after
                if begin <= done < begin + STALL_S:
                    done = begin + STALL_S
                await asyncio.sleep(done - time.monotonic())
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


def simulated(seconds: float, waits_us: float) -> float:
    """Rounds a second that users withhold: what they would begin without the stall, less what they begin with it."""
    begun, stall = 0, seconds / 2
    wait = waits_us / 1e6
    for _ in range(USERS):
        # They are not in step.
        now = random.uniform(0, THINK_S + wait)
        while now < seconds:
            begun += 1
            sent = now + THINK_S
            now = sent + wait
            if stall <= now < stall + STALL_S:
                now = stall + STALL_S
    return USERS / (THINK_S + wait) - begun / seconds


def level(program: str, folder: Path, seconds: int, user: str, load: str) -> dict:
    server = Server(seconds / 2 + 0.5)
    (folder / "plan.yaml").write_text(f"stampede: 1\ntarget: http://127.0.0.1:{server.port}\nusers:\n  u:\n{user}    tasks: {{ t: {{ steps: [ {{ name: a, GET: / }} ] }} }}\nload: {load}\n")
    command = [program, "run", str(folder / "plan.yaml"), "--out", str(folder / "out"), "--warmup", "500ms"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    report = json.loads((folder / "out/latest/report.json").read_text())
    return report["levels"][0] | {"withheld": report["findings"]["withheld"][0]}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=int, default=8)
    args = parser.parse_args()
    program, seconds, faults = driver(profile="release"), args.seconds, []
    with tempfile.TemporaryDirectory() as name:
        folder, lasts = Path(name), f"duration: {seconds}s"
        for kind, user, load in (
            ("open loop", "", f"{{ rate: 200/s, max_users: 500, {lasts} }}"),
            ("paced users", "    pace: 200ms\n", f"{{ users: {USERS}, {lasts} }}"),
        ):
            http = level(program, folder, seconds, user, load)["load"]["http"]
            # A second in so many: those who were due in it waited half of it on average, and p99 of all nearly all of it.
            expected = STALL_S * (1 - 0.01 * seconds / STALL_S)
            print(f"{kind}: {http['accepted']} requests, p50 {http['p50_us']} µs, p99 {http['p99_us']} µs, expected {expected * 1e6:.0f} µs")
            if abs(http["p99_us"] / 1e6 - expected) > 0.1:
                faults.append(f"{kind}: p99 is {http['p99_us']} µs")
        closed = level(program, folder, seconds, f"    think: {int(THINK_S * 1000)}ms\n", f"{{ users: {USERS}, {lasts} }}")
        scenario, withheld = closed["load"]["scenario"], closed["withheld"]
        random.seed(1)
        own = simulated(seconds, scenario["all_rounds"]["waiting"]["p50_us"])
        told = withheld["withheld_per_sec"]
        print(f"closed loop: p99 {closed['load']['http']['p99_us']} µs, {told:.2f} rounds/s withheld of {withheld['asked_per_sec']:.1f}, simulated {own:.2f}")
        if abs(told / own - 1) > 0.05:
            faults.append(f"withheld: {told} in the report, {own} simulated")
    if faults:
        sys.exit("check stall: " + "; ".join(faults))
    print("check stall: a stall shows in open loops and paced rounds, and as withheld load in closed ones")
