"""The thread that writes stamps, counts and beats to the log store."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha1

from .beat import HEARD_FOR, PERIOD as BEAT_PERIOD, Beat
from .books import Books, Mark, Totals
from .clock import ClockState, RedisClock
from .scale import STEPS, Scale
from .scripts import PLACE, STAMP
from .store import Command, Link, Store, StoreAway, ending, refused

# How often stamps and counts are written. The disciplined clock knows an event's time whenever it is written, so that stamps may gather: fewer, larger writes cost
# the pipeline less. Plain stamps are written at once.
PERIOD = 0.1  # seconds
STAMPS_PER_CALL = 64  # of the script: Redis serves nobody else while it runs
BACKOFF, LONGEST_BACKOFF = 0.05, 2.0  # seconds between two attempts
QUIET = 10.0  # seconds between two warnings of the same kind
HASH = sha1(STAMP.encode()).hexdigest()

log = logging.getLogger("stampede")


class Writer:
    """Writes until it is closed, and then once more."""

    def __init__(self, store: Store, books: Books, clock: RedisClock | None, beat: Beat, instance: str, expire: int) -> None:
        self._store, self._books, self._clock, self._beat = store, books, clock, beat
        self._instance, self._expire = instance, expire
        self._scale = Scale()
        self._link: Link | None = None
        self._beat_at = self._warn_at = 0.0
        self._away = False  # it has been told that the log store is away
        self._wake = threading.Event()
        self._turn = threading.Condition()
        self._asked = self._done = 0  # flushes that somebody waits for
        self._ending = threading.Event()
        self._end_by = 0.0  # the last moment for another attempt, once it is closed
        self._thread = threading.Thread(target=self._run, name="stampede", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Has a plain stamp written now."""
        if self._clock is None:
            self._wake.set()

    def flush(self, within: float) -> bool:
        """Waits until everything stamped and counted so far is in the log store: at most for so many seconds. Whether it is."""
        with self._turn:
            self._asked += 1
            asked = self._asked
            self._wake.set()
            return self._turn.wait_for(lambda: self._done >= asked, within)

    def close(self, within: float) -> None:
        """Writes what is left, for at most so many seconds, and signs off."""
        self._end_by = time.monotonic() + within
        self._ending.set()
        self._wake.set()
        self._thread.join(within + 0.5)

    def _run(self) -> None:
        backoff = 0.0
        while True:
            if backoff:
                # Nobody's haste shortens this, except that of whoever closes.
                self._ending.wait(backoff)
            else:
                self._wake.wait(PERIOD)
            self._wake.clear()
            ends, asked = self._ending.is_set(), self._asked
            if self._flush():
                backoff = 0.0
                with self._turn:
                    self._done = asked
                    self._turn.notify_all()
                if ends:
                    break
            else:
                backoff = min(max(backoff * 2, BACKOFF), LONGEST_BACKOFF)
                if ends:
                    left = self._end_by - time.monotonic()
                    if left <= 0:
                        break
                    time.sleep(min(BACKOFF, left))
        if self._link:
            with suppress(StoreAway):  # The beat expires by itself.
                self._link.ask(("DEL", self._beat.key))
            self._link.close()

    def _flush(self) -> bool:
        """Writes what has gathered; False when the log store is away."""
        totals, marks = self._books.take()
        beats = time.monotonic() >= self._beat_at
        if not totals and not marks and not beats:
            return True
        try:
            if self._link is None:
                self._link = self._connected()
            self._write(self._link, marks, totals, beats)
        except Exception as error:
            self._books.put_back(marks)
            if self._link:
                self._link.close()
            self._link = None
            if not self._away:
                # Whatever else goes wrong must not end this thread: nobody would hear of it.
                log.warning("stamps and counts wait: %s", self._store.told(error), exc_info=not isinstance(error, StoreAway))
            self._away = True
            return False
        self._books.written(totals)
        if self._away:
            log.info("the log store at %s is back", self._store.shown)
        self._away = False
        return True

    def _connected(self) -> Link:
        link = self._store.connect()
        # Loaded once, as a user of the log store may well have the right to EVALSHA, and none to EVAL.
        for answer in link.ask(("SCRIPT", "LOAD", STAMP), ("SCRIPT", "LOAD", PLACE)):
            if error := refused(answer):
                link.close()
                raise StoreAway(str(error))
        self._books.write_all_again()
        return link

    def _write(self, link: Link, marks: deque[Mark], totals: Totals, beats: bool) -> None:
        """Writes stamps in several calls, counts and the beat with the last of them. Takes out of `marks` what need not wait for another attempt. Raises StoreAway."""
        # One state of the clock for the whole flush: all its event times are told in one time scale.
        clock = self._clock.state if self._clock else None
        scale = self._scale.number(clock, beats, link, self._expire) if clock else 0
        while True:
            batch = [marks.popleft() for _ in range(min(len(marks), STAMPS_PER_CALL))]
            commands: list[Command] = [self._stamps(batch, clock, scale)] if batch else []
            if not marks:
                commands += self._counts(totals)
                if beats:
                    self._beat_at = time.monotonic() + BEAT_PERIOD
                    commands.append(("SET", self._beat.key, self._beat.document(self._books.stages, clock), "EX", HEARD_FOR))
                    commands.append(("EXPIRE", STEPS, self._expire))
            try:
                answers = link.ask(*commands)
            except StoreAway:
                # Whether Redis has these stamps is unknown. Writing them again could make two stamps of one, which would look like a duplicate message; so they
                # are counted as dropped.
                self._books.drop(batch)
                raise
            self._judge(answers, batch, marks)
            if not marks:
                return

    def _judge(self, answers: Iterable[object], batch: list[Mark], marks: deque[Mark]) -> None:
        """What becomes of a batch whose commands have these answers. Raises StoreAway where another server must be looked for."""
        written = True
        for number, answer in enumerate(answers):
            error = refused(answer)
            if error and ending(error):
                # None of these stamps has been written; where only the counts were refused, the stamps are there.
                if number == 0:
                    marks.extendleft(reversed(batch))
                else:
                    self._books.confirm(batch)
                if self._clock:
                    self._clock.look_again()
                raise StoreAway(str(error))
            if error:
                # A key of the wrong type, which anybody can make, is to spoil nothing but its own run.
                self._warn(error)
                written = written and number > 0
        if written:
            self._books.confirm(batch)
        else:
            self._books.drop(batch)

    def _warn(self, error: Exception) -> None:
        """Tells of a refusal now and then: most of them last."""
        if time.monotonic() >= self._warn_at:
            self._warn_at = time.monotonic() + QUIET
            log.warning("not all stamps and counts could be written: %s", self._store.told(error))

    def _stamps(self, batch: list[Mark], clock: ClockState | None, scale: int) -> Command:
        """The call of the script that writes these stamps. Event times are told by the clock, in its time scale; without it the stamps are plain."""
        lists: dict[str, list[str | int]] = {}
        for mark in batch:
            stamps = lists.setdefault(f"trace:{mark.book.run}:{mark.stage}", [])
            stamps += (mark.id, *clock.at(mark.at_ns)) if clock else (mark.id, "", "")
        call: list[str | int] = ["EVALSHA", HASH, len(lists) + 1, *lists, STEPS, self._expire, scale if clock else ""]
        for stamps in lists.values():
            call += [len(stamps) // 3, *stamps]
        return call

    def _counts(self, totals: Totals) -> Iterable[Command]:
        """Sets this process's own fields to its totals: unlike an increment, that may be repeated without harm."""
        for book, counts in totals:
            key, writer = f"trace:{book.run}:counts", f"{self._instance}.{book.edition}"
            yield ["HSET", key, *(word for name, count in counts.items() if count for word in (f"{name}@{writer}", count))]
            yield ["EXPIRE", key, self._expire]
