"""The connections to the log store, and what becomes of commands when one breaks."""

import re
import socket
import ssl
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
from redis.retry import Retry

PATIENCE = 2.0  # seconds: a server that is silent for so long is away

# The kernel's time of a packet, of which Python has no name; the number is that of Linux on all processors but a few old ones.
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("@ll")

Command = Sequence[str | int | float]

# Answers that say "not me any more", or "not now": nothing was written, and the next connection may lead to another server, or to one that has room again.
CLUSTER = (AskError, ClusterCrossSlotError, ClusterDownError, TryAgainError)  # MOVED is an AskError, too
ENDING = (ReadOnlyError, MasterDownError, AuthenticationError, BusyLoadingError, NoScriptError, OutOfMemoryError, *CLUSTER)
NOT_NOW = re.compile(r"(MISCONF|BUSY|NOREPLICAS)\b")  # of which redis-py has no types


class StoreAway(Exception):
    """The log store could not be reached, or a connection broke. Whether it has done what it was asked last is unknown."""


class Store:
    """Where the log store is: `redis://[user:password@]host:port[/db]`, the same with `rediss://` for TLS, or `unix://[user:password@]/path[?db=…]`."""

    def __init__(self, url: str, ca_file: str | None = None) -> None:
        """Raises ValueError for what is no such address. `ca_file`, in PEM, takes the place of the system's certificate authorities."""
        # Commands are never tried again by themselves: a script that ran, and whose answer was lost, would write its stamps twice.
        options: dict[str, Any] = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, "retry": Retry(NoBackoff(), 0), "protocol": 2}
        if ca_file:
            if not url.startswith("rediss://"):
                raise ValueError("a file of certificate authorities is of no use without TLS: write rediss://host:port")
            ssl.create_default_context(cafile=ca_file)  # A wrong one is to be told now, and not as a log store that is away.
            options["ssl_ca_certs"] = ca_file
        if url.startswith("rediss://"):
            options["ssl_check_hostname"] = True  # Earlier versions of redis-py leave it out.
        try:
            place = urlsplit(url)
            # redis-py takes any other path for that of database 0.
            if place.scheme in ("redis", "rediss") and not re.fullmatch("/?[0-9]*", unquote(place.path)):
                raise ValueError
            self._pool = redis.ConnectionPool.from_url(url, **options)
        except ValueError:
            # What redis-py says may hold a part of the password.
            wrong = "this is no address of a Redis server: write redis://[user:password@]host:port[/db], where db is a number, with / ? # % in a password as %2F %3F %23 %25"
            raise ValueError(wrong) from None
        self.shown = f"{place.scheme}://{place.netloc.rpartition('@')[2]}{place.path}"  # without its secrets, for logs

    def connect(self) -> "Link":
        """A new connection. Raises StoreAway where there is none to be had."""
        # Not by the pool, which counts the connections that it has made, and stops at some number.
        return Link(self._pool.connection_class(**self._pool.connection_kwargs))

    def told(self, error: Exception) -> str:
        """A fault of this server, for logs."""
        return f"redis at {self.shown}: {error}"


class Link:
    """One connection. It is of no more use once it has raised StoreAway."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._timed: socket.socket | None = None
        with self.breaking():
            connection.connect()

    def ask(self, *commands: Command) -> list[Any]:
        """Sends commands together, and tells the answer to each. An answer that is an error is told as one; one that is ending is the last."""
        answers = []
        with self.breaking():
            self._connection.send_packed_command(self._connection.pack_commands(commands))
            for _ in commands:
                try:
                    answers.append(self._connection.read_response())
                except (redis.ResponseError, AuthenticationError, BusyLoadingError) as refusal:
                    answers.append(refusal)
                    if ending(refusal):
                        break  # redis-py may have closed the connection.
        return answers

    def pack(self, *command: str) -> list[bytes]:
        """A command to be sent, so that making its bytes takes no time then."""
        packed: list[bytes] = self._connection.pack_command(*command)
        return packed

    def send(self, packed: list[bytes]) -> None:
        with self.breaking():
            self._connection.send_packed_command(packed)

    def await_bytes(self) -> int | None:
        """Waits until the first bytes of the answer are here, unread. Tells when the kernel received them, in time.time_ns(), where it does."""
        with self.breaking():
            if self._timed:
                return arrival(self._timed)
            if not self._connection.can_read(PATIENCE):
                raise TimeoutError("no answer")
            return None

    def time_arrivals(self) -> "Link":
        """Has the kernel time what comes from now on. Not with TLS, where the first bytes may be others than those of the answer."""
        plain = getattr(self._connection, "_sock", None)
        if type(plain) is socket.socket and sys.platform == "linux":
            with suppress(OSError):
                plain.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                self._timed = plain
        return self

    def answer(self) -> Any:
        """The answer to what was sent; one that is an error raises StoreAway, too."""
        with self.breaking():
            return self._connection.read_response()

    @contextmanager
    def breaking(self) -> Iterator[None]:
        """What goes wrong in there is the end of the connection. Raises StoreAway."""
        try:
            yield
        except (redis.RedisError, OSError) as error:
            self._connection.disconnect()
            raise StoreAway(f"{error}; {remedy(error)}") from None

    def close(self) -> None:
        self._connection.disconnect()


def arrival(timed: socket.socket) -> int | None:
    """Waits for bytes, which are left there, and tells when the kernel received them."""
    for level, kind, data in timed.recvmsg(1, 64, socket.MSG_PEEK)[1]:
        if (level, kind, len(data)) == (socket.SOL_SOCKET, SO_TIMESTAMPNS, TIMESPEC.size):
            seconds, nanos = TIMESPEC.unpack(data)
            return int(seconds * 1_000_000_000 + nanos)
    return None


def remedy(error: Exception) -> str:
    if isinstance(error, AuthenticationError):
        return "are user and password right?"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "ca_file takes the certificate of the authority to trust"
    return "is it running, and is the address right?"


def ending(refusal: Exception) -> bool:
    """Whether what was refused has to wait for another connection."""
    return isinstance(refusal, ENDING) or NOT_NOW.match(str(refusal)) is not None


def refused(answer: Any) -> Exception | None:
    """An answer that is an error; None for any other."""
    return answer if isinstance(answer, Exception) else None
