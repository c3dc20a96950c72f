"""Load from Locust that Stampede reports: each message carries an id of its own and the run that `driver watch` waits for.

    driver watch --run monday &
    STAMPEDE_RUN=monday locust -f locustfile.py --headless -u 50 -r 10 -t 30s --host http://127.0.0.1:PORT

Ids are unique over Locust's worker processes: each takes a range of its own. 1 message in N is stamped (id % N == 0), so that ids
are dealt one after another and not at random.
"""

import itertools
import os
import secrets

from locust import FastHttpUser, constant, task

RUN = os.environ.get("STAMPEDE_RUN", "monday")
# `worker (10 bits) | connection (11 bits) | sequence (32 bits)`: this process takes one of 2^21 ranges.
FIRST = secrets.randbelow(1 << 21) << 32
IDS = itertools.count(FIRST)


class Sender(FastHttpUser):
    wait_time = constant(0)

    @task
    def send(self) -> None:
        self.client.post("/adapter2/poweron/44300", json={"id": next(IDS), "run": RUN, "data": "x" * 64}, name="send")
