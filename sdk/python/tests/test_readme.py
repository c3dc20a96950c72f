import contextlib
import re
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from .server import Server, wait_until

README = Path(__file__).parents[1] / "README.md"
IDLE = 5.5  # seconds: newer versions of redis-py give up on an answer after 5 unless told otherwise


class TheFirstExample(unittest.TestCase):
    def test_it_waits_for_messages_as_long_as_it_takes(self) -> None:
        server = self.enterContext(Server())
        [example] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
        example = example.replace("redis://127.0.0.1:6379", server.url)
        process = subprocess.Popen([sys.executable, "-c", example], stderr=subprocess.DEVNULL, cwd=README.parent)
        try:
            for body in ('{"id":100,"run":"r"}', "garbage", '{"id":101,"run":"r"}'):
                server.redis.lpush("stampede:queue", body)
            wait_until(lambda: server.redis.llen("stampede:enriched") == 3)
            time.sleep(IDLE)
            server.redis.lpush("stampede:queue", '{"id":200,"run":"r"}')
            wait_until(lambda: server.redis.llen("stampede:enriched") == 4)
            # Python forgets an interrupt that comes while it finalizes an object.
            for _ in range(3):
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                    break
        finally:
            process.kill()
            process.wait()
        self.assertEqual((server.counts("r"), server.counts()), ({"enricher": 3}, {"garbage": 1}))
        self.assertEqual(server.redis.llen("trace:r:enricher"), 2)
