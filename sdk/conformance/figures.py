"""What a stamp costs, and a whole sweep with the SDK's hop in it."""

import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from hops import Hop
from sdks import Sdk
from servers import Server
from shared import Stack

PATH = "send,apiserver,enqueue,{hop},pushserver,publish,mqttclient"


def cost(sdk: Sdk, messages: int, rounds: int) -> str:
    """CPU time (or wall time where the program does not tell it) of a message with and without its stamp, in turn."""
    told = []
    with Server() as server:
        for every in (100, 1):
            answer = json.loads(sdk.ask("cost", "--redis", server.url, "--every", str(every), "--messages", str(messages), "--rounds", str(rounds))[-1])
            kind = "cpu_" if answer.get("cpu_with_ns") else ""
            without, stamped = (statistics.median(answer[f"{kind}{name}_ns"]) for name in ("without", "with"))
            told.append(f"1 in {every}: {stamped - without:+.0f} ns on {without:.0f} ns")
    return "; ".join(told)


def sweep(sdk: Sdk, stack: Stack, seconds: float) -> str:
    """A sweep whose path has the hop, between two queues: the report has its latencies with their errors, all arrived, and no stamp was dropped."""
    stage = f"{sdk.name}hop"
    with Hop(sdk, stack.at["redis"], stack.at["redis"], 5, stage=stage, source="stampede:queue", sink="stampede:hopped") as hop, tempfile.TemporaryDirectory() as out:
        command = [stack.driver, "sweep", "--target", stack.at["api"], "--redis", stack.at["redis"], "--path", PATH.format(hop=stage), "--out", out, "--every", "5"]
        shape = ["--from", "1", "--to", "1", "--duration", f"{seconds}s", "--warmup", "200ms"]
        done = subprocess.run([*command, *shape], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise AssertionError(f"the sweep ended with exit code {done.returncode}: {done.stderr[-500:]}")
        hop.end()
        report = json.loads((Path(out) / "latest/report.json").read_text())
    level = report["levels"][0]
    books, latency = level["books"], next(hop["latency"] for hop in level["hops"] if hop["stage"] == stage)
    stamped = next(row for row in report["stamping"] if row["stage"] == stage)
    if latency["p50_us"] is None or not stamped["err"] or stamped["plain"]:
        raise AssertionError(f"the report tells no latency with an error: {latency}, {stamped}")
    if books["lost"] or not 0 < books["accepted"] == books["arrived"] or stamped["dropped"] or level["traces"]["beyond_error"]:
        raise AssertionError(f"{books}, {stamped}, {level['traces']}")
    return f"{books['arrived']} arrived, 0 lost; hop p50 {latency['p50_us']} µs, err p99 {stamped['err']['p99_us']} µs"
