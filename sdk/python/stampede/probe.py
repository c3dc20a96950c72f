"""Brackets readings of Redis TIME between two of the local clock.

Python runs one thread at a time: where others compute, the thread that waits for an answer gets it up to ten milliseconds late. On Linux the kernel notes on the
wall clock when the bytes of the answer arrived, and that becomes the second reading. The wall clock may be set meanwhile: of its distances from the monotonic
clock, before and after the probe, the one is used that makes the bracket wider.
"""

import socket
import ssl
import struct
import sys
import time
from contextlib import suppress

from .store import Link

TIMESTAMPS = 35  # SO_TIMESTAMPNS of Linux, which the socket module does not have
TIMESPEC = struct.Struct("qq")
LINES = 5  # of the answer, which is an array of two strings


class Prober:
    """Probes over one connection, on which nothing else is asked."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._command = link.pack("TIME")
        self._socket = link.socket if stamps_arrivals(link.socket) else None

    def probe(self) -> tuple[int, int, int]:
        """Local time before the command was sent and after its answer arrived, ns, and what Redis said, µs since 1970-01-01 UTC. Raises StoreAway."""
        # The wall clock is read first each time: its distance comes out too short, if anything, and the arrival too late.
        real_ns, sent_ns = time.time_ns(), time.monotonic_ns()
        self._link.send(self._command)
        arrived_ns = None
        if self._socket:
            with self._link.breaking():
                answer, arrived_ns = receive(self._socket)
        else:
            self._link.await_bytes()
        later_ns, received_ns = time.time_ns(), time.monotonic_ns()
        if arrived_ns is not None:
            received_ns = max(sent_ns, min(received_ns, arrived_ns - min(real_ns - sent_ns, later_ns - received_ns)))
        seconds, micros = answer.split()[2:5:2] if self._socket else self._link.answer()
        return sent_ns, received_ns, int(seconds) * 1_000_000 + int(micros)


def stamps_arrivals(connection: socket.socket | None) -> bool:
    """Has the kernel note when bytes arrive, if it can: those of TLS hold no answer that can be read here."""
    if not connection or isinstance(connection, ssl.SSLSocket) or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    if not sys.platform.startswith("linux") or sys.maxsize < 2**32:
        return False
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)
        return True
    return False


def receive(connection: socket.socket) -> tuple[bytes, int | None]:
    """The answer to TIME, and when the kernel had its last bytes, ns of the wall clock. Raises OSError where there is none."""
    answer, arrived_ns = b"", None
    while answer.count(b"\r\n") < LINES:
        part, notes, _, _ = connection.recvmsg(256, 64)
        answer += part
        if not part or answer.startswith(b"-"):
            raise OSError(answer.decode(errors="replace").strip("-\r\n") or "the connection was closed")
        for level, kind, note in notes:
            if level == socket.SOL_SOCKET and kind == TIMESTAMPS:
                seconds, nanos = TIMESPEC.unpack_from(note)
                arrived_ns = seconds * 1_000_000_000 + nanos
    return answer, arrived_ns
