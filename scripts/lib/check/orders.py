"""Do the users of examples/orders.yaml behave? Runs the plan against an API in a process of its own, which demands proofs of possession with
fresh nonces (verified by PyJWT), the order of POST, PATCH and DELETE, and one device for each account; then examples/vote.yaml, whose tasks are
drawn 1:2. Fails unless the API has refused nothing but each user's first request without a nonce, every order was deleted, every account was
given back, and the report counts what the API counted.

  scripts/check orders [--users 500] [--seconds 60] [--interrupt]

--interrupt sends SIGINT in the middle. Its packages (aiohttp, PyJWT, cryptography) are installed into a folder that goes with it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from shared import ROOT, arguments, driver, packages

MODULES = {"aiohttp": "aiohttp", "jwt": "PyJWT", "cryptography": "cryptography"}


def run_plan(program: str, plan: Path, out: Path, *options: str, interrupt_after: float | None = None) -> tuple[int, dict]:
    """Exit code, and the first level of the report."""
    command = [program, "run", str(plan), "--out", str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"ADMIN_KEY": "hush"})
    if interrupt_after is not None:
        time.sleep(interrupt_after)
        process.send_signal(signal.SIGINT)
    code = process.wait()
    report = out / "latest" / "report.json"
    if not report.exists():
        sys.exit(f"check orders: {plan.name} ended with exit code {code}, and without a report")
    return code, json.loads(report.read_text())["levels"][0]


def orders(program: str, folder: Path, users: int, seconds: int, interrupt: bool) -> list[str]:
    environment = packages(folder / "packages", MODULES)
    if environment is None:
        sys.exit(f"check orders: its packages cannot be installed: pip install {' '.join(MODULES.values())}")
    server = [sys.executable, str(ROOT / "scripts/lib/orders_api.py")]
    api = subprocess.Popen(server, stdout=subprocess.PIPE, env=environment, text=True)
    try:
        port = api.stdout.readline().strip()
        if not port:
            sys.exit("check orders: the API did not start")
        rows = "".join(f"u{number},token-{number},device-{number}\n" for number in range(users))
        (folder / "accounts.csv").write_text("uid,token,device\n" + rows)
        # It loads an API alone: nothing is known of arrivals.
        text = (ROOT / "examples/orders.yaml").read_text().split("thresholds:")[0]
        (folder / "orders.yaml").write_text(text + 'thresholds: [ "errors==0" ]\n')
        options = ["--set", f"api=http://127.0.0.1:{port}", "--set", f"users={users}", "-d", f"{seconds}s"]
        after = users / 50 + seconds / 2 if interrupt else None
        code, level = run_plan(program, folder / "orders.yaml", folder / "orders", *options, interrupt_after=after)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats") as answer:
            stats = json.load(answer)
    finally:
        api.terminate()
        api.wait()
    answers, scenario = stats["answers"], level["load"]["scenario"]
    print(f"orders: exit code {code}, answers {answers}, orders {stats['orders']}, logged in {stats['logged_in']}")
    faults = []
    if code != (130 if interrupt else 0):
        faults.append(f"exit code {code}")
    refused = [why for why in answers if why[:1] in "45" and why != "401 use_dpop_nonce"]
    faults += [f"refused: {why} × {answers[why]}" for why in refused]
    if stats["logged_in"] or stats["orders"]["left"] or stats["orders"]["made"] != stats["orders"]["deleted"]:
        faults.append(f"left behind: {stats['orders']}, {stats['logged_in']} logged in")
    told: Counter[str] = Counter()
    retries = 0
    for step in scenario["steps"] + scenario["around"]["steps"]:
        told[step["name"]] += step["accepted"]
        retries += step["retries"]
    counted = stats["requests"]
    names = {"log in": "POST api/v1/login", "log out": "POST api/v1/logout", "add": "POST api/v1/orders", "edit": "PATCH api/v1/orders/ID", "remove": "DELETE api/v1/orders/ID", "GET /api/v1/orders?user=${account.uid}": "GET api/v1/orders"}
    for step, request in names.items():
        if told[step] != counted.get(request, 0):
            faults.append(f"{step}: {told[step]} in the report, {counted.get(request, 0)} at the API")
    old = answers.get("401 use_dpop_nonce", 0)
    if retries != old:
        faults.append(f"{retries} retries in the report, {old} proofs without a fresh nonce at the API")
    # None is known before a user's first answer; from then on each answer brings the newest one.
    if old != told["log in"]:
        faults.append(f"{old} proofs without a fresh nonce of {told['log in']} users")
    if told["log in"] > users or not interrupt and told["log in"] != users:
        faults.append(f"{told['log in']} of {users} users logged in")
    for request in ("POST api/v1/test/key", "DELETE api/v1/test/account"):
        if counted.get(request, 0) != 1:
            faults.append(f"{request}: {counted.get(request, 0)} times, expected once")
    rounds = {rounds["task"]: rounds["ended"] for rounds in scenario["rounds"]}
    print(f"orders: {told.total()} requests, rounds {rounds}, {retries} retries, failures {scenario['failures']}")
    return faults


class Votes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count: Counter[str] = Counter()

    def do_GET(self) -> None:
        self.count[self.command] += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def votes(program: str, folder: Path, seconds: int) -> list[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Votes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    text = (ROOT / "examples/vote.yaml").read_text()
    text = text.replace("http://127.0.0.1:8080", address).replace("http://127.0.0.1:8081", address)
    (folder / "vote.yaml").write_text(text)
    code, level = run_plan(program, folder / "vote.yaml", folder / "vote", "--users", "100", "--spawn", "100", "-d", f"{seconds}s")
    scenario = level["load"]["scenario"]
    told: Counter[str] = Counter()
    for step in scenario["steps"] + scenario["around"]["steps"]:
        told[step["name"].split()[0]] += step["accepted"]
    requests = Votes.count.total()
    share = Votes.count["POST"] / max(requests, 1)
    # 99 % of binomial draws lie within 2.576 standard deviations.
    within = 2.576 * (2 / 9 / max(requests, 1)) ** 0.5
    print(f"vote: exit code {code}, the server had {dict(Votes.count)}, share of votes {share:.4f}, expected 0.6667 ± {within:.4f}")
    faults = [] if abs(share - 2 / 3) <= within else [f"votes are {share:.4f} of all requests"]
    if told != Votes.count:
        faults.append(f"votes: {dict(told)} in the report, {dict(Votes.count)} at the server")
    return faults + ([] if code == 0 else [f"vote: exit code {code}"])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--interrupt", action="store_true")
    args = parser.parse_args()
    program = driver(profile="release")
    with tempfile.TemporaryDirectory() as folder:
        faults = orders(program, Path(folder), args.users, args.seconds, args.interrupt)
        if not args.interrupt:
            faults += votes(program, Path(folder), min(args.seconds, 30))
    if faults:
        sys.exit("check orders: " + "; ".join(faults))
    print("check orders: all holds")
