"""Do workers fail as they should, and do they load as one generator does? Prints a table of faults: what was said, how the level is marked, the exit code;
fails unless each is as promised, and nothing hangs.

  scripts/check workers [faults|kills|even|scale|many]... [--kills 50] [--rounds 5]

faults: each fault once (2 minutes). kills: sweeps of four workers of which some are killed at random: the books must balance to the message (10 s each).
even: the gaps between requests of four workers beside those of one generator, and how far apart workers begin. scale: requests a second of one generator,
of one worker and of two. many: what a coordinator costs with 1 to 1,000 simulated workers. Without a word, faults. Needs redis-cli.
"""

import atexit
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from shared import ROOT, Stack, arguments, build, driver

DRIVER = ""
WAIT = 60


def main() -> None:
    global DRIVER
    parser = arguments(__doc__)
    parser.add_argument("what", nargs="*", default=["faults"], choices=["faults", "kills", "even", "scale", "many"])
    parser.add_argument("--kills", type=int, default=50, help="sweeps with random kills (50)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of `even` and `scale` (5)")
    parser.add_argument("--only", help="the one fault whose name holds this")
    args = parser.parse_args()
    DRIVER = driver()
    checks = {"faults": lambda: faults(args.only), "kills": lambda: kills(args.kills), "even": lambda: even(args.rounds), "scale": lambda: scale(args.rounds), "many": many}
    failed = [fault for what in args.what for fault in checks[what]()]
    sys.exit("check workers: " + "; ".join(failed) if failed else None)


class Worker:
    """A worker, until it is killed or the block ends."""

    def __init__(self, redis: str, allowed: str, *options: str) -> None:
        command = [DRIVER, "worker", "--redis", redis, "--allow-target", allowed, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def signal(self, what: signal.Signals) -> None:
        self.process.send_signal(what)

    def end(self) -> str:
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            return self.process.communicate(timeout=5)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.communicate()[1]


class Workers:
    """So many workers at a log store."""

    def __init__(self, number: int, redis: str, allowed: str, *options: str) -> None:
        self.all = [Worker(redis, allowed, *options) for _ in range(number)]

    def __enter__(self) -> list[Worker]:
        return self.all

    def __exit__(self, *_: object) -> None:
        for worker in self.all:
            worker.end()


class Redis:
    """A Redis of its own, which can be ended and started again on its port."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> "Redis":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(lambda: ask(self.url, "PING") == "PONG", "Redis does not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Slow:
    """A way to a server on which each byte takes a while longer."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port_behind, self.seconds = port, seconds
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            one, _ = self.listener.accept()
            other = socket.create_connection(("127.0.0.1", self.port_behind))
            for ends in [(one, other), (other, one)]:
                threading.Thread(target=self.pass_on, args=ends, daemon=True).start()

    def pass_on(self, one: socket.socket, other: socket.socket) -> None:
        while data := one.recv(65536):
            time.sleep(self.seconds)
            other.sendall(data)


def ask(redis: str, *command: str) -> str:
    done = subprocess.run(["redis-cli", "-u", redis, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip()


def until(is_so: object, otherwise: str, within: float = WAIT) -> None:
    deadline = time.monotonic() + within
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"check workers: {otherwise}")
        time.sleep(0.05)


def there(redis: str, number: int) -> None:
    until(lambda: len(ask(redis, "KEYS", "trace:service:worker:*").split()) >= number, "workers do not come")


class Loading:
    """A coordinator at work: its level and its words, once it has ended."""

    def __init__(self, stack: Stack, out: str, *options: str) -> None:
        fixed = ["sweep", "--target", stack.at["api"], "--redis", stack.at["redis"], "--warmup", "0s", "--out", out]
        self.out = out
        self.run([*fixed, *options])

    def run(self, command: list[str]) -> None:
        self.begun = time.monotonic()
        self.process = subprocess.Popen([DRIVER, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self) -> "Loading":
        try:
            self.stdout, self.stderr = self.process.communicate(timeout=WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            sys.exit(f"check workers: it hangs: {self.process.args}")
        self.took, self.code = time.monotonic() - self.begun, self.process.returncode
        return self

    def level(self) -> dict | None:
        file = Path(self.out) / "latest" / "report.json"
        return json.loads(file.read_text())["levels"][-1] if file.exists() else None


class Api(Loading):
    """The same of `driver load`, with a log store of its own."""

    def __init__(self, stack: Stack, log_store: str, *options: str) -> None:
        self.out = ""
        self.run(["load", stack.at["api"], "--log-store", log_store, "--json", *options])

    def level(self) -> dict | None:
        return None


def balanced(level: dict) -> bool:
    books = level["books"]
    return books["accepted"] + books["unanswered"] == books["arrived"] and books["lost"] == 0 and books["duplicates"] == 0


ROWS: list[list[str]] = []


def faults(only: str | None) -> list[str]:
    failed = []
    with Stack(DRIVER) as stack, tempfile.TemporaryDirectory() as folder:
        api, redis = stack.at["api"], stack.at["redis"]
        number = 0

        def out() -> str:
            nonlocal number
            number += 1
            return f"{folder}/{number}"

        def note(name: str, done: Loading, code: int, says: str, mark: str | None = None) -> None:
            level = done.level()
            marked = (level["load"]["generator_limited"] or "none") if level else "no level"
            if not level and done.stdout.startswith("{"):
                marked = json.loads(done.stdout)["generator"]["limited_by"] or "none"
            told = [line for line in done.stderr.splitlines() if says in line] or done.stderr.splitlines()[-1:] or [""]
            ROWS.append([name, told[-1].strip(), marked, str(done.code), f"{done.took:.1f} s"])
            print(" | ".join(ROWS[-1]), flush=True)
            if done.code != code or says not in done.stderr + done.stdout:
                failed.append(f"{name}: exit code {done.code}, not {code}, or nothing of {says!r}")
            if mark is not None and mark not in marked:
                failed.append(f"{name}: marked {marked!r}, not {mark!r}")
            if level and not balanced(level):
                failed.append(f"{name}: the books do not balance: {level['books']}")

        def few(*options: str) -> Loading:
            return Loading(stack, out(), "--workers-within", "2s", "--rates", "500", "-d", "1s", *options).end()

        def want(name: str) -> bool:
            return not only or only in name

        if want("another version"):
            beat = {"service": "worker", "instance": "1-old", "version": "0.0.9", "host": "elsewhere", "every": 100, "stages": [], "clock": {"error_us": 20, "host_offset_us": 0, "drift_ppm": 0, "steps": 0}}
            ask(redis, "SET", "trace:service:worker:1-old", json.dumps(beat), "EX", "5")
            note("another version", few("--workers", "1"), 1, "has version 0.0.9")
            ask(redis, "DEL", "trace:service:worker:1-old")
        if want("another N"):
            with Workers(1, redis, api, "--every", "10"):
                there(redis, 1)
                note("another N", few("--workers", "1"), 1, "samples 1 in 10, and this load 1 in 100")
        if want("a bad clock"):
            slow = Slow(int(redis.rsplit(":", 1)[1]), 0.02)
            with Workers(1, slow.url, api):
                there(redis, 1)
                time.sleep(2)
                note("a bad clock (20 ms each way)", few("--workers", "1"), 1, "knows the log store's clock to")
        if want("more than 1,023"):
            note("more than 1,023", few("--workers", "1024"), 1, "give at most 1023")
        if want("fewer than asked"):
            with Workers(1, redis, api):
                there(redis, 1)
                note("fewer than asked", few("--workers", "3"), 1, "3 workers wanted, 1 available after 2.0 s")
        if want("a target that is not allowed"):
            with Workers(1, redis, api) as _, Workers(1, redis, "http://127.0.0.1:1"):
                there(redis, 2)
                note("a target that is not allowed", few("--workers", "2"), 1, "start it with --allow-target http://")
        if want("two coordinators"):
            with Workers(2, redis, api):
                there(redis, 2)
                first = Loading(stack, out(), "--workers", "2", "--rates", "500", "-d", "6s")
                until(lambda: any('begin_us":1' in ask(redis, "GET", key) for key in ask(redis, "KEYS", "trace:worker:*").split()), "no load")
                note("two coordinators: the second", few("--workers", "2"), 1, "is at work for")
                note("two coordinators: the first", first.end(), 0, "", "none")

        def suffers(name: str, do: object, code: int, says: str, mark: str | None, seconds: int = 12, workers: int = 4) -> None:
            with Workers(workers, redis, api) as all_of_them:
                there(redis, workers)
                loading = Loading(stack, out(), "--workers", str(workers), "--rates", "2000", "-d", f"{seconds}s")
                # It begins some 2 s after it was started.
                time.sleep(4)
                do(all_of_them)
                note(name, loading.end(), code, says, mark)

        def stop(seconds: int) -> object:
            def do(all_of_them: list[Worker]) -> None:
                all_of_them[0].signal(signal.SIGSTOP)
                threading.Timer(seconds, lambda: all_of_them[0].signal(signal.SIGCONT)).start()

            return do

        if want("stopped for 3 s"):
            suffers("one stopped for 3 s", stop(3), 0, "", "requests was sent")
        if want("stopped for 8 s"):
            suffers("one stopped for 8 s", stop(8), 1, "1 of 4 workers lost at", "25 % of the load was not sent from then on")
        if want("one killed"):
            suffers("one killed", lambda all_of_them: all_of_them[1].signal(signal.SIGKILL), 1, "1 of 4 workers lost at", "25 % of the load")
        if want("one told to end"):
            suffers("one told to end (SIGTERM)", lambda all_of_them: all_of_them[1].signal(signal.SIGTERM), 1, "it was told to end", "25 % of the load")
        if want("all killed"):
            suffers("all killed", lambda all_of_them: [one.signal(signal.SIGKILL) for one in all_of_them], 1, "4 of 4 workers lost at", "100 % of the load")
        if want("the coordinator killed"):
            with Workers(2, redis, api):
                there(redis, 2)
                loading = Loading(stack, out(), "--workers", "2", "--rates", "500", "-d", "60s")
                time.sleep(5)
                loading.process.kill()
                killed = time.monotonic()
                loading.end()
                until(lambda: not ask(redis, "KEYS", "trace:worker:*"), "workers are not free again")
                free = time.monotonic() - killed

                def enqueued() -> str:
                    keys = ask(redis, "KEYS", "trace:*.r500:counts").split()
                    return ask(redis, "HGETALL", keys[-1]) if keys else ""

                time.sleep(1)
                before = enqueued()
                time.sleep(1)
                ROWS.append(["the coordinator killed", f"workers are free after {free:.1f} s, and send nothing more: {before == enqueued()}", "no level", str(loading.code), ""])
                print(" | ".join(ROWS[-1]), flush=True)
                if free > 5.5 or before != enqueued():
                    failed.append(f"the coordinator killed: free after {free:.1f} s")
                note("the same workers again", few("--workers", "2"), 0, "", "none")
        for away, code in [(1, 0), (2.5, 0), (7, 1)]:
            name = f"a log store that is away for {away} s"
            if want(name):
                with Redis() as log_store, Workers(2, log_store.url, api):
                    there(log_store.url, 2)
                    loading = Api(stack, log_store.url, "--workers", "2", "--rate", "500", "-d", "12s")
                    time.sleep(6)
                    log_store.kill()
                    time.sleep(away)
                    log_store.start()
                    note(name, loading.end(), code, "" if code == 0 else "2 of 2 workers lost", "none" if code == 0 else None)
    print_table(["fault", "what was said", "how the level is marked", "exit code", "took"], ROWS)
    return failed


def kills(times: int) -> list[str]:
    """Books balance to the message, whoever is killed, and ids are one worker's each."""
    failed, lost_workers, messages, unanswered = [], 0, 0, 0
    with Stack(DRIVER) as stack, tempfile.TemporaryDirectory() as folder:
        api, redis = stack.at["api"], stack.at["redis"]
        for number in range(times):
            chance = random.Random(number)
            with Workers(4, redis, api) as workers:
                there(redis, 4)
                loading = Loading(stack, f"{folder}/{number}", "--workers", "4", "--rates", "2000", "-d", "4s", "--on-worker-loss", "continue")
                time.sleep(2.2 + chance.random() * 3)
                for worker in chance.sample(workers, chance.randint(1, 3)):
                    worker.signal(signal.SIGKILL)
                    time.sleep(chance.random() / 2)
                loading.end()
                level = loading.level()
            if not level or not balanced(level):
                failed.append(f"run {number}: {level['books'] if level else loading.stderr}")
                print(failed[-1], flush=True)
                continue
            lost_workers += sum(one["lost_us"] is not None for one in level["load"]["workers"])
            messages += level["books"]["arrived"]
            unanswered += level["books"]["unanswered"]
            # The subscriber counts an id that comes twice as a duplicate.
            print(f"run {number}: {level['books']['arrived']} arrived, {level['books']['unanswered']} of them not told of", flush=True)
    print(f"{times} sweeps, {lost_workers} workers killed under load, {messages} messages arrived, {unanswered} of which no worker could tell; {len(failed)} sweeps whose books do not balance")
    return failed


def even(rounds: int) -> list[str]:
    """The gaps between the arrivals of requests at the API, and how late workers begin."""
    gaps: dict[str, list[float]] = {"one generator": [], "four workers": []}
    starts: list[float] = []
    with Stack(DRIVER, "--every", "1") as stack, tempfile.TemporaryDirectory() as folder:
        api, redis = stack.at["api"], stack.at["redis"]
        with Workers(4, redis, api, "--every", "1"):
            there(redis, 4)
            for number in range(rounds):
                for name, options in [("one generator", []), ("four workers", ["--workers", "4"])]:
                    out = f"{folder}/{number}-{name[:3]}"
                    done = Loading(stack, out, "--every", "1", "--rates", "2000", "-d", "5s", *options).end()
                    level = done.level()
                    if done.code or not level:
                        return [f"even: {done.stderr}"]
                    stamps = ask(redis, "LRANGE", f"trace:{level['load']['run']}:apiserver", "0", "-1").splitlines()
                    read = [json.loads(stamp) for stamp in stamps]
                    # When it was written, less how long it had waited for that.
                    times = sorted(float(stamp["time"]) - stamp["lag"] / 1e6 for stamp in read)
                    gaps[name] += [(after - before) * 1e6 for before, after in zip(times, times[1:])]
                    starts += [worker["start_delay_us"] + worker["clock_error_us"] for worker in level["load"].get("workers", [])]
            for number in range(rounds * 8):
                done = Loading(stack, f"{folder}/s{number}", "--every", "1", "--workers", "4", "--rates", "100", "-d", "300ms").end()
                starts += [worker["start_delay_us"] + worker["clock_error_us"] for worker in done.level()["load"]["workers"]]
    rows = []
    for name, all_gaps in gaps.items():
        cuts = statistics.quantiles(all_gaps, n=1000)
        rows.append([name, str(len(all_gaps)), f"{statistics.mean(all_gaps):.1f}", *(f"{cuts[at]:.0f}" for at in (9, 99, 499, 899, 989, 998)), f"{statistics.stdev(all_gaps):.0f}"])
    print_table(["2,000/s", "gaps", "mean µs", "p1", "p10", "p50", "p90", "p99", "p99.9", "deviation"], rows)
    one, four = sorted(gaps["one generator"]), sorted(gaps["four workers"])
    print(f"largest distance of the two distributions (Kolmogorov, Smirnov): {distance(one, four):.3f}")
    starts.sort()
    print(f"{len(starts)} beginnings of workers: late by (with the error of their clocks) p50 {starts[len(starts) // 2]:.0f} µs, p99 {starts[int(len(starts) * 0.99)]:.0f} µs, at most {starts[-1]:.0f} µs")
    return []


def distance(one: list[float], other: list[float]) -> float:
    import bisect

    at = sorted(set(one[:: max(1, len(one) // 2000)] + other[:: max(1, len(other) // 2000)]))
    share = lambda values, value: bisect.bisect_right(values, value) / len(values)
    return max(abs(share(one, value) - share(other, value)) for value in at)


def scale(rounds: int) -> list[str]:
    """Requests a second on a server that is not the limit."""
    echo = build("-p", "load", "--example", "echo", profile="dist") / "examples" / "echo"
    server = subprocess.Popen([str(echo)], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        made: dict[str, list[float]] = {}

        def load(name: str, *options: str) -> None:
            done = subprocess.run([DRIVER, "load", url, "--json", "-c", "16", "-d", "3s", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            made.setdefault(name, []).append(json.loads(done.stdout)["requests_per_sec"])

        for _ in range(rounds):
            load("one generator")
            load("1 worker", "--workers", "1")
            load("2 workers", "--workers", "2")
        print_ratios("closed loop, 16 connections; server and generators share all processors", made, "one generator")
        made = {}
        origin = url.rsplit("/", 1)[0]
        with Redis() as log_store:
            for _ in range(rounds):
                for number in [1, 2, 4]:
                    with Workers(number, log_store.url, origin) as workers:
                        if not limited([worker.process.pid for worker in workers], 0.2):
                            print("no control group limits processors here: not tried")
                            return []
                        there(log_store.url, number)
                        load(f"{number} workers", "--log-store", log_store.url, "--workers", str(number))
        print_ratios("the same, each worker with a fifth of a processor", made, "1 workers")
    finally:
        server.kill()
    return []


def limited(pids: list[int], cpus: float) -> bool:
    """Limits each of these processes by a control group of version 1, which is removed when it has ended; tells whether that is possible here."""
    root = Path("/sys/fs/cgroup/cpu")
    if not (root / "cpu.cfs_quota_us").exists() or not os.access(root, os.W_OK):
        return False
    for pid in pids:
        group = root / f"stampede-check-{pid}"
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text("10000")
        (group / "cpu.cfs_quota_us").write_text(str(int(cpus * 10000)))
        (group / "cgroup.procs").write_text(str(pid))
        GROUPS.append(group)
    return True


GROUPS: list[Path] = []


@atexit.register
def remove_groups() -> None:
    for group in GROUPS:
        try:
            group.rmdir()
        except OSError as error:
            print(f"check workers: {group} stays: {error}", file=sys.stderr)


def print_ratios(head: str, made: dict[str, list[float]], base: str) -> None:
    rows = [[name, f"{statistics.median(rates):.0f}", f"{statistics.median([rate / one for rate, one in zip(rates, made[base])]):.2f}"] for name, rates in made.items()]
    print_table([head, "requests/s", f"× {base}"], rows)


def many() -> list[str]:
    """What a coordinator costs, by its workers: these load nothing."""
    failed, rows, seconds = [], [], 10
    simulated = build("-p", "workers", "--example", "simulated", profile="dist") / "examples" / "simulated"
    with Stack(DRIVER) as stack, Redis() as log_store:
        for number in [1, 10, 100, 1000]:
            workers = subprocess.Popen([str(simulated), log_store.url, str(number), str(seconds), stack.at["api"]])
            begun = time.monotonic()
            command = [DRIVER, "load", stack.at["api"], "--log-store", log_store.url, "--workers", str(number), "--json", "-d", f"{seconds}s"]
            coordinator = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            stdout = coordinator.stdout.read()
            _, status, used = os.wait4(coordinator.pid, 0)
            took = time.monotonic() - begun
            try:
                workers.wait(timeout=10)
            except subprocess.TimeoutExpired:
                failed.append(f"{number} simulated workers do not end")
            result = json.loads(stdout or "{}")
            if status or len(result["workers"]) != number or result["requests"] != number * seconds * 1000:
                failed.append(f"{number} simulated workers: exit status {status}, {result.get('requests')} requests")
            merged = subprocess.run([str(simulated), "merge", str(number)], stdout=subprocess.PIPE, text=True).stdout
            cost = (used.ru_utime + used.ru_stime) / took * 100
            rows.append([str(number), f"{cost:.1f} %", f"{used.ru_maxrss / 1024:.0f} MiB", re.search(r"[0-9.]+ ms", merged)[0], f"{took:.1f} s"])
    print_table(["workers", "CPU of the coordinator", "its memory", "to put a level together", f"a load of {seconds} s took"], rows)
    return failed


def print_table(head: list[str], rows: list[list[str]]) -> None:
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(re.sub(r"\|", "/", cell) for cell in row) + " |")
    print(flush=True)
