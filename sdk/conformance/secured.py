"""Does an SDK do with a secured log store, and with no more rights than docs/security.md gives a service? And is the password kept to itself?"""

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO
from urllib.parse import quote

from hops import STAGE, Hop, counts, expect, expect_stamps, message, push, wait_for_next_beat, wait_for_out
from sdks import Sdk
from servers import ROOT, Server, wait_until

PASSWORD = "h#sh/h?sh %40"
USER = "worker"  # of the users in docs/security.md, the one that sees no queue


def rights() -> str:
    lines = (ROOT / "docs/security.md").read_text().splitlines()
    rule = next(line.strip() for line in lines if line.strip().startswith(f"user {USER} "))
    return rule.removeprefix(f"user {USER} on >PASSWORD ")


def secured(sdk: Sdk, number: int) -> str:
    with Server(tls=True) as server, tempfile.TemporaryFile("w+") as log:
        server.redis.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", *rights().split())

        def address(password: str) -> str:
            return f"rediss://{USER}:{quote(password, safe='')}@localhost:{server.tls_port}/0"

        with Hop(sdk, server.url, address(PASSWORD), 10, log=log, certificate=server.certificate) as hop:
            push(server, [message(id, "right") for id in range(number)])
            wait_for_out(server, number)
            # The second beat asks for the time scale, too.
            wait_until(lambda: server.redis.keys("trace:service:*"), "it beats")
            wait_for_next_beat(server, server.redis.keys("trace:service:*")[0])
            expect("what the hop told", hop.end(), {"handled": number, "unwritten": 0})
        expect("counts", counts(server, "right"), {STAGE: number})
        for stamp in expect_stamps(server, "right", range(0, number, 10)):
            expect("keys of a stamp", stamp.keys() - {"event_us"}, {"id", "time", "lag", "err"})
        refused(sdk, server, number, log, {address(PASSWORD + "x"): server.certificate, address(PASSWORD): None})
        log.seek(0)
        told = log.read()
        for secret in (PASSWORD, quote(PASSWORD, safe="")):
            if secret in told:
                raise AssertionError("it shows the password")
    return f"{number} messages over TLS"


def refused(sdk: Sdk, server: Server, number: int, log: IO[str], ways: Mapping[str, Path | None]) -> None:
    """With a wrong password, or a certificate that nobody vouches for, messages pass, and nothing is written to the log store."""
    server.redis.delete("out")
    with ExitStack() as started, ThreadPoolExecutor() as pool:
        hops = [started.enter_context(Hop(sdk, server.url, url, 10, log=log, certificate=certificate)) for url, certificate in ways.items()]
        push(server, [message(id, "wrong") for id in range(number)])
        wait_for_out(server, number)
        # Together, as each tries for as long as it may.
        expect("messages handled", sum(told["handled"] for told in pool.map(Hop.end, hops)), number)
    expect("counts of a run that was refused", counts(server, "wrong"), {})
