"""Real Redis servers for the suite, each with faults that can be made: away, killed, its clock set, an answer lost."""

import os
import selectors
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from redis import Redis, RedisError

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 30.0  # seconds until something that is waited for counts as not coming


def wait_until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain until {what}")
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server:
    """A redis-server. Where it is durable, what it has confirmed outlives `kill`."""

    def __init__(self, clock: "Clock | None" = None, tls: bool = False, durable: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="stampede-redis-")
        self._environment = os.environ | (clock.environment if clock else {})
        self.certificate = Path(self._folder.name) / "certificate.pem"
        self._options = self._with_certificate() if tls else []
        if durable:
            self._options += ["--appendonly", "yes", "--appendfsync", "always"]
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.redis = Redis.from_url(self.url, decode_responses=True)
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self._folder.name, *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=self._environment)
        wait_until(self._answers, "redis-server answers")

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _with_certificate(self) -> list[str]:
        """The options of a second port, with a certificate for localhost. `self.certificate` is that of its authority."""
        self.tls_port = free_port()
        home = self.certificate.parent
        (home / "names").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
        for command in (
            "req -x509 -newkey rsa:2048 -nodes -keyout authority.key -out certificate.pem -subj /CN=authority -days 2",
            "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
            "x509 -req -in server.csr -CA certificate.pem -CAkey authority.key -CAcreateserial -extfile names -days 2 -out server.pem",
        ):
            subprocess.run(["openssl", *command.split()], check=True, cwd=home, stderr=subprocess.DEVNULL)
        files = {"tls-cert-file": "server.pem", "tls-key-file": "server.key", "tls-ca-cert-file": "certificate.pem"}
        options = {"tls-port": self.tls_port, "tls-auth-clients": "no"} | {name: home / file for name, file in files.items()}
        return [word for name, value in options.items() for word in (f"--{name}", str(value))]

    def _answers(self) -> bool:
        try:
            return bool(self.redis.ping())
        except (RedisError, OSError):
            return False

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.close()
        self.kill()
        self._folder.cleanup()


class Clock:
    """The wall clock of one server, which can be set while it runs: by the library that the driver's tests use."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="stampede-clock-")
        library, self._file = Path(self._folder.name) / "preload.so", Path(self._folder.name) / "clock"
        source = ROOT / "crates/driver/tests/preload.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
        self.set(0)
        self.environment = {"LD_PRELOAD": str(library), "STAMPEDE_CLOCK_FILE": str(self._file)}

    def set(self, ahead_ns: int) -> None:
        """Sets the clock so far ahead of this host's. In place, as the server has the file mapped."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("q", ahead_ns))

    def __enter__(self) -> "Clock":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


class Proxy:
    """Stands between a program and a server. When it is told to, it lets the next call of the script pass, keeps the answer for itself, and closes that connection."""

    def __init__(self, server: Server) -> None:
        self._server = server.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self.swallowed = 0
        self._armed = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: dict[socket.socket, tuple[socket.socket, bool]] = {}  # the other end, and whether this one is the program's
        self._mute: set[socket.socket] = set()  # servers' ends whose next answer is kept
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def swallow(self) -> None:
        """Loses one answer. Returns when it is lost."""
        before, self._armed = self.swallowed, True
        wait_until(lambda: self.swallowed > before, "a stamp's answer can be lost")

    def _run(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select(0.1):
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._peers:
                    self._pass_on(key.fileobj)

    def _accept(self) -> None:
        program, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._server))
        for end, other, is_program in ((program, server, True), (server, program, False)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[end] = other, is_program
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, end: socket.socket) -> None:
        other, is_program = self._peers[end]
        try:
            data = end.recv(1 << 16)
            if not data or end in self._mute:
                self.swallowed += end in self._mute
                self._close(end, other)
                return
            other.sendall(data)
        except OSError:
            self._close(end, other)
            return
        if is_program and self._armed and b"EVALSHA" in data:
            self._armed = False
            self._mute.add(other)

    def _close(self, *ends: socket.socket) -> None:
        for end in ends:
            self._peers.pop(end, None)
            self._mute.discard(end)
            self._selector.unregister(end)
            end.close()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for end in (*self._peers, self._listener):
            end.close()
