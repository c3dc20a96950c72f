"""Time scales: between two settings of the log store's clock lies one, and its number tells all processes which event times may be subtracted.

The number is the length of one list in the log store, to which the first process that notices a step appends it. Where a process stands in that
list is told by how far its clock was set: one that probes late sees several steps as one, or none where they cancel out.
"""

from hashlib import sha1

from .clock import ClockState
from .filter import Step
from .scripts import PLACE
from .store import Link, StoreAway, refused

STEPS = "trace:clock:steps"
HASH = sha1(PLACE.encode()).hexdigest()


class Scale:
    """Which time scale this process's clock tells. PLACE must have been loaded."""

    def __init__(self) -> None:
        self._known: tuple[int, Step] | None = None  # a number, and how far the clock had been set in all when it was found

    def number(self, clock: ClockState, looks: bool, link: Link, expire: int) -> int:
        """The number of the time scale that `clock` tells. The log store is asked where the clock was set, and where `looks` says so: steps that cancel out
        between two probes are seen by others alone. Raises StoreAway where it does not tell."""
        if not self._known:
            answer = link.ask(("LLEN", STEPS))[0]
        else:
            number, stepped = self._known
            if stepped == clock.stepped and not looks:
                return number
            size, error = clock.stepped.size_us - stepped.size_us, clock.stepped.error_us - stepped.error_us
            answer = link.ask(("EVALSHA", HASH, 1, STEPS, expire, number, size, error))[0]
        if refusal := refused(answer):
            raise StoreAway(str(refusal))
        self._known = int(answer), clock.stepped
        return self._known[0]
