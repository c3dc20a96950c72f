"""Is the load of a generator that is not ours traced? Starts a private pipeline, loads it for 2 s with wrk and scripts/post.lua, makes the
report of that run, and fails unless its books balance: everything that was accepted arrived. Needs wrk: scripts/setup --with wrk.

  scripts/check wrk
"""

import os
import re
import shutil
import subprocess
import sys

from shared import ROOT, Stack, arguments, driver

RUN = "check-wrk"


def main() -> None:
    arguments(__doc__).parse_args()
    if not shutil.which("wrk"):
        sys.exit("check wrk: wrk is not installed: scripts/setup --with wrk")
    with Stack(driver(profile="release")) as stack:
        command = ["wrk", "-t", "2", "-c", "8", "-d", "2s", "-s", str(ROOT / "scripts" / "post.lua"), stack.at["api"] + "/"]
        told = subprocess.run(command, env=os.environ | {"STAMPEDE_RUN": RUN}, check=True, stdout=subprocess.PIPE, text=True).stdout
        print(told)
        counted = re.search(rf"stampede run={RUN} requests=([1-9]\d*)", told)
        if not counted or re.search("Non-2xx|Socket errors", told):
            sys.exit("check wrk: wrk made no requests, or met errors")
        level = stack.level(RUN, within=30)
    # wrk leaves without the answers to its last requests, so that more may be accepted than it has counted, but never fewer.
    books, requests = level["books"], int(counted[1])
    if not requests <= books["accepted"] == books["arrived"] or not level["arrival"]["p50_us"]:
        sys.exit(f"check wrk: not all of at least {requests} requests arrived and were timed: {books}, {level['arrival']}")
    print(f"check wrk: {requests} requests of wrk traced, p50 of arrival latency {level['arrival']['p50_us']} µs")
