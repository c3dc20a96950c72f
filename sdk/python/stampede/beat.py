"""What a process tells about itself once a second."""

import json
import mmap
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from .clock import ClockState

PERIOD = 1.0  # seconds
HEARD_FOR = 5  # seconds until a service that has ended without a word counts as gone


class Beat:
    """The parts of a beat that stay as they are."""

    def __init__(self, service: str, instance: str, version: str, every: int) -> None:
        self.key = f"trace:service:{service}:{instance}"
        self._fixed = {"service": service, "instance": instance, "version": version, "host": socket.gethostname(), "pid": os.getpid(), "every": every}

    def document(self, stages: list[str], clock: ClockState | None) -> str:
        """The present beat, as JSON."""
        told = None
        if clock:
            now = clock.at(time.monotonic_ns())
            # The host's clock is compared, and enters no result.
            told = {"error_us": min(now.error_us, 2**32 - 1), "host_offset_us": time.time_ns() // 1000 - now.us, "drift_ppm": clock.line.drift * 1e6, "steps": clock.steps}
        spent = {"cpu_us": time.process_time_ns() // 1000, "memory_bytes": memory_bytes(), "cores": cores()}
        return json.dumps(self._fixed | {"stages": stages, "clock": told} | spent)


def memory_bytes() -> int | None:
    """Resident memory; None where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
    return None


def cores() -> int | None:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
