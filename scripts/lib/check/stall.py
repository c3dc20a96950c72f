"""Does a stall of the API show? Loads a server that answers after 2 ms and stops for one second in the middle: by rounds a second, by paced
users, and by users who wait for their answers. Fails unless the first two show the stall in p99, and the third tells the load that was withheld,
within 5 % of what the server's own record of its requests gives.

  scripts/check stall [--seconds 8]
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from shared import arguments, driver

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
SERVICE_S, STALL_S, USERS, THINK_S, WARMUP_S = 0.002, 1.0, 40, 0.1, 0.5


class Server:
    """One that answers after a while, but for a second that begins so long after its first request."""

    def __init__(self, stall_after: float) -> None:
        self.stall_after, self.first = stall_after, 0.0
        # When each request came.
        self.log: list[float] = []
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
                came = time.monotonic()
                self.first = self.first or came
                done = came + SERVICE_S
                begin = self.first + self.stall_after
                if begin <= done < begin + STALL_S:
                    done = begin + STALL_S
                await asyncio.sleep(done - time.monotonic())
                writer.write(ANSWER)
                self.log.append(came)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


def withheld_by(server: Server, seconds: int, wait_us: float) -> float:
    """Requests a second that users withheld: N / (Z + R) less those that came to the server in the measured time. R is what users wait: the
    server does not see the way there and back."""
    # The first request comes when its user has thought, and by then all users are there.
    begin = server.first + WARMUP_S
    came = sum(begin <= came < begin + seconds for came in server.log)
    return USERS / (THINK_S + wait_us / 1e6) - came / seconds


def level(program: str, folder: Path, server: Server, user: str, load: str) -> dict:
    (folder / "plan.yaml").write_text(f"stampede: 1\ntarget: http://127.0.0.1:{server.port}\nusers:\n  u:\n{user}    tasks: {{ t: {{ steps: [ {{ name: a, GET: / }} ] }} }}\nload: {load}\n")
    command = [program, "run", str(folder / "plan.yaml"), "--out", str(folder / "out"), "--warmup", f"{WARMUP_S}s"]
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
            http = level(program, folder, Server(seconds / 2 + WARMUP_S), user, load)["load"]["http"]
            # Those who were due within the stall wait for its end, and they are more than 1 in 100 of all.
            expected = STALL_S * (1 - 0.01 * seconds / STALL_S)
            print(f"{kind}: {http['accepted']} requests, p50 {http['p50_us']} µs, p99 {http['p99_us']} µs, expected {expected * 1e6:.0f} µs")
            if abs(http["p99_us"] / 1e6 - expected) > 0.1:
                faults.append(f"{kind}: p99 is {http['p99_us']} µs")
        # Within a pause of each other, so that they are not in step.
        server, spawn = Server(seconds / 2 + WARMUP_S), f"spawn: {USERS / THINK_S:.0f}/s"
        user = f"    think: {int(THINK_S * 1000)}ms\n"
        closed = level(program, folder, server, user, f"{{ users: {USERS}, {spawn}, {lasts} }}")
        told, own = closed["withheld"]["withheld_per_sec"], withheld_by(server, seconds, closed["load"]["scenario"]["all_rounds"]["waiting"]["p50_us"])
        print(f"closed loop: p99 {closed['load']['http']['p99_us']} µs, {told:.2f} rounds/s withheld of {closed['withheld']['asked_per_sec']:.1f}, by the server {own:.2f}")
        if abs(told / own - 1) > 0.05:
            faults.append(f"withheld: {told} in the report, {own} by the server")
    if faults:
        sys.exit("check stall: " + "; ".join(faults))
    print("check stall: a stall shows in open loops and paced rounds, and as withheld load in closed ones")
