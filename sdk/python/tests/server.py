"""A real redis-server for one test, on a Unix socket of its own."""

import subprocess
import tempfile
import time
from pathlib import Path

from redis import Redis, RedisError

DEADLINE = 10.0  # seconds


class Server:
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="stampede-test-")
        self.socket = Path(self._folder.name) / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.redis = Redis.from_url(self.url, decode_responses=True)
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", self._folder.name]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.close()
        self.stop()
        self._folder.cleanup()

    def counts(self, run: str = "adhoc") -> dict[str, int]:
        """The counters of a run, summed over their writers."""
        sums: dict[str, int] = {}
        for field, count in self.redis.hgetall(f"trace:{run}:counts").items():
            name = field.split("@")[0]
            sums[name] = sums.get(name, 0) + int(count)
        return sums

    def _answers(self) -> bool:
        try:
            return bool(self.redis.ping())
        except (RedisError, OSError):
            return False


def wait_until(condition, deadline: float = DEADLINE) -> None:
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.01)
