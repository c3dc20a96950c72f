"""Stampede's tracer for Python: counts every message at a stage, and stamps each N-th one in Redis time.

    with Tracer("redis://127.0.0.1:6379", "enricher", stages=["enricher"]) as tracer:
        id, run = envelope(body)
        tracer.stamp("enricher", id, run)      # at the moment that the stage is about

docs/protocol.md describes what goes over the wire, docs/method.md how the clock works. This package needs redis-py and nothing else.
"""

from .clock import RedisTime
from .envelope import envelope
from .tracer import Tracer, moment
from .version import VERSION as __version__

__all__ = ["RedisTime", "Tracer", "__version__", "envelope", "moment"]
