"""Is every figure exact? Vectors, ids, samples and counts, beats, and a shutdown under load."""

import base64
import json
import threading
import time
from pathlib import Path

from hops import STAGE, Hop, counts, expect, expect_stamps, feed, message, messages, passed, push, wait_for_next_beat, wait_for_out, writers
from sdks import Sdk
from servers import Server, wait_until

FOLDER = Path(__file__).parent
ROUNDING_NS = 3  # languages round differently
KEPT_FOR = 24 * 60 * 60  # seconds
RUNS = ["adhoc", "r.c05", "x" * 64]


def vectors(sdk: Sdk) -> str:
    envelopes = [json.loads(line) for line in (FOLDER / "envelopes.jsonl").read_text().splitlines()]
    told = map(json.loads, sdk.ask("envelope", lines="".join(vector["body"] + "\n" for vector in envelopes)))
    for number, (vector, said) in enumerate(zip(envelopes, told, strict=True), 1):
        right = "error" in said if "error" in vector else (said.get("id"), said.get("run")) == (vector["id"], vector["run"])
        if not right:
            raise AssertionError(f"envelopes.jsonl:{number}: {base64.b64decode(vector['body'])[:60]!r} was read as {said}")
    filters = [json.loads(line) for line in (FOLDER / "filter.jsonl").read_text().splitlines()]
    questions = "".join(json.dumps({"probes": vector["probes"], "ask": vector["ask"]}) + "\n" for vector in filters)
    worst = 0
    for vector, said in zip(filters, map(json.loads, sdk.ask("filter", lines=questions)), strict=True):
        expect(f"steps of {vector['name']!r}", said["steps"], vector["steps"])
        off = max(abs(told - right) for pair, answer in zip(said["answers"], vector["answers"], strict=True) for told, right in zip(pair, answer, strict=True))
        if off > ROUNDING_NS:
            raise AssertionError(f"filter.jsonl: {vector['name']!r} is off by {off} ns")
        worst = max(worst, off)
    return f"{len(envelopes)} envelopes, {len(filters)} clocks within {worst} ns"


def samples(sdk: Sdk, number: int) -> str:
    """Known ids of several runs, with garbage among them, at several N and with both clocks: exactly the right ones are stamped, and all are counted."""
    for every, clock in ((100, "disciplined"), (7, "disciplined"), (1, "disciplined"), (7, "plain")):
        with Server() as server, Hop(sdk, server.url, server.url, every, clock) as hop:
            bodies = messages(number, RUNS, garbage=25)
            begin_us = time.time_ns() // 1000
            push(server, bodies)
            wait_for_out(server, len(bodies))
            expect("what the hop told", hop.end(), {"handled": len(bodies), "unwritten": 0})
            end_us = time.time_ns() // 1000
            expect("bodies that came out", passed(server), bodies)
            for run in RUNS:
                expect(f"counts of run {run}", counts(server, run), {STAGE: number} | ({"garbage": 25} if run == "adhoc" else {}))
                for stamp in expect_stamps(server, run, range(0, number, every)):
                    expect("keys of a stamp", stamp.keys() - {"event_us"}, {"id", "time", "lag", "err"} if clock == "disciplined" else {"id", "time"})
                    if not begin_us - stamp.get("err", 0) <= stamp["event_us"] <= end_us + stamp.get("err", 0):
                        raise AssertionError(f"{stamp} is not from between {begin_us} and {end_us}")
                for key in (f"trace:{run}:{STAGE}", f"trace:{run}:counts"):
                    if not KEPT_FOR - 60 < server.redis.ttl(key) <= KEPT_FOR:
                        raise AssertionError(f"{key} lives for {server.redis.ttl(key)} s")
    return f"{4 * len(bodies)} messages"


def beats(sdk: Sdk) -> str:
    """While a process lives it says so, all fields right; two processes are told apart; nothing is left when they have ended."""
    with Server() as server, Hop(sdk, server.url, server.url, 7) as hop, Hop(sdk, server.url, server.url, 7) as other:
        keys = server.redis.keys("trace:service:*")
        expect("beats", len(keys), 2)

        def beat() -> dict:
            return json.loads(server.redis.get(keys[0]) or "{}")

        wait_until(lambda: beat().get("clock"), "a beat tells of the clock")
        told = beat()
        expect("the beat", {key: told[key] for key in ("service", "every", "stages")}, {"service": f"{sdk.name}-{STAGE}", "every": 7, "stages": [STAGE]})
        expect("the beat's key", keys[0], f"trace:service:{told['service']}:{told['instance']}")
        clock = told["clock"]
        expect("types in the beat's clock", [type(clock[key]) for key in ("error_us", "host_offset_us", "steps")], [int] * 3)
        if not (told["version"] and told["host"] and told["pid"] > 0 and told["cpu_us"] >= 0 and told["memory_bytes"] > 1_000_000 and clock["error_us"] >= 0):
            raise AssertionError(f"the beat lacks something: {told}")
        # Redis's clock is this host's.
        if abs(clock["host_offset_us"]) > clock["error_us"] + 1000:
            raise AssertionError(f"the host's clock is told to be off by {clock['host_offset_us']} µs")
        if not 0 < server.redis.pttl(keys[0]) <= 5000:
            raise AssertionError(f"a beat lives for {server.redis.pttl(keys[0])} ms")
        wait_for_next_beat(server, keys[0])
        push(server, [message(id, "adhoc") for id in range(500)])
        wait_for_out(server, 500)
        for process in (hop, other):
            process.end()
        expect("beats after the end", server.redis.keys("trace:service:*"), [])
        expect("counts of two processes", counts(server, "adhoc"), {STAGE: 500})
    return "2 processes"


def shutdown(sdk: Sdk, seconds: float) -> str:
    """SIGTERM while messages come: what was taken has passed, is counted, and has its stamps."""
    with Server() as server, Hop(sdk, server.url, server.url, 3) as hop:
        feeder = threading.Thread(target=feed, args=(server, 0, seconds + 0.5, "adhoc", 5000))
        feeder.start()
        wait_for_out(server, int(seconds * 2500))
        told = hop.end()
        feeder.join()
        out = [json.loads(body)["id"] for body in passed(server)]
        expect("what the hop told", told, {"handled": len(out), "unwritten": 0})
        expect("what passed and what waits", len(out) + server.redis.llen("in"), server.redis.llen("in") + len(set(out)))
        expect("counts", counts(server, "adhoc"), {STAGE: len(out)})
        expect_stamps(server, "adhoc", [id for id in sorted(out) if id % 3 == 0])
        expect("writers", writers(server, "adhoc"), 1)
        if not server.redis.llen("in"):
            raise AssertionError("it ended when nothing came any more")
    return f"{len(out)} messages"
