"""What a process has counted and stamped but not written yet."""

import threading
import time
from collections import deque

from .names import check_counter, check_id, check_run, check_stage

FORGET_AFTER = 600.0  # seconds that a run may be still. Should it come back, it is counted under a new field
RUNS = 4096  # beyond it, those that have been still for longest are forgotten sooner, so that senders who name new runs cannot fill the memory


class Book:
    """One run's totals since this process first saw it."""

    __slots__ = ("counts", "edition", "held", "run", "touched", "written")

    def __init__(self, run: str, edition: int) -> None:
        self.run = run
        self.edition = edition  # which of this process's books of this run it is
        self.counts: dict[str, int] = {}
        self.written: dict[str, int] = {}  # what of it the log store has
        self.held = 0  # its stamps that wait, or are on their way
        self.touched = time.monotonic()

    def add(self, name: str, by: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + by


class Mark:
    """One sampled message at one stage. `at_ns` is a reading of time.monotonic_ns()."""

    __slots__ = ("at_ns", "book", "id", "stage")

    def __init__(self, book: Book, stage: str, id: int, at_ns: int) -> None:
        self.book = book
        self.stage = stage
        self.id = id
        self.at_ns = at_ns


Totals = list[tuple[Book, dict[str, int]]]


class Books:
    """All runs of one process, and the stamps that wait. Threads may share it."""

    def __init__(self, stages: list[str], every: int, buffer: int) -> None:
        for stage in stages:
            check_stage(stage)
        self.stages = stages
        self._every = every
        self._buffer = buffer
        self._books: dict[str, Book] = {}
        self._waiting: deque[Mark] = deque()
        self._editions = 0
        self._dropped = 0
        self._forget_at = time.monotonic() + FORGET_AFTER
        self._lock = threading.Lock()

    def stamp(self, stage: str, id: int, run: str, at_ns: int | None) -> bool:
        """Counts a message, and queues its stamp when it is sampled; where the buffer is full, the stamp is dropped and counted. True when a stamp is queued."""
        # As check_id has it, whose call would cost every message more.
        if type(id) is not int or id >> 53:
            check_id(id)
        sampled = id % self._every == 0
        if sampled:
            if at_ns is None:
                at_ns = time.monotonic_ns()
            elif type(at_ns) is not int:
                # Only the thread that writes would stumble over it, and lose others' stamps.
                raise ValueError(f"{at_ns!r:.80} is no moment of a stamp: give what moment() gave")
        with self._lock:
            book = self._books.get(run) or self._open(run)
            count = book.counts.get(stage)
            if count is None:
                self._begin(stage)
                count = 0
            book.counts[stage] = count + 1
            if not sampled:
                return False
            if len(self._waiting) >= self._buffer:
                self._drop(book, stage)
                return False
            self._waiting.append(Mark(book, stage, id, at_ns or 0))
            book.held += 1
        return True

    def count(self, name: str, by: int, run: str) -> None:
        if type(by) is not int or by >> 53:
            raise ValueError(f"{by!r:.80} cannot be added to a counter: it is no whole number from 0 to 2^53 - 1")
        with self._lock:
            book = self._books.get(run) or self._open(run)
            if name not in book.counts:
                check_counter(name)
            book.add(name, by)

    def take(self) -> tuple[Totals, deque[Mark]]:
        """The totals that the log store does not have yet, and every stamp that waits. Both at once: a message that is counted in the log store has its stamp there."""
        with self._lock:
            totals = [(book, book.counts.copy()) for book in self._books.values() if book.counts != book.written]
            now = time.monotonic()
            for book, _ in totals:
                book.touched = now
            marks, self._waiting = self._waiting, deque()
        return totals, marks

    def put_back(self, marks: deque[Mark]) -> None:
        """Puts stamps that could not be written back in front, as far as there is room."""
        with self._lock:
            room = max(self._buffer - len(self._waiting), 0)
            while len(marks) > room:
                self._lose(marks.pop())
            marks.extend(self._waiting)
            self._waiting = marks

    def drop(self, marks: list[Mark]) -> None:
        """Counts stamps as dropped: it is unknown whether the log store has them, and a second one would look like a duplicate message."""
        with self._lock:
            for mark in marks:
                self._lose(mark)

    def confirm(self, marks: list[Mark]) -> None:
        """The log store has these stamps."""
        with self._lock:
            for mark in marks:
                mark.book.held -= 1

    def unwritten(self) -> int:
        """Stamps that the log store is not known to have: they were dropped, or wait, or are on their way."""
        with self._lock:
            return self._dropped + sum(book.held for book in self._books.values())

    def written(self, totals: Totals) -> None:
        """Notes that the log store has these totals, and forgets runs that have long been still."""
        with self._lock:
            for book, counts in totals:
                book.written = counts
            self._forget()

    def write_all_again(self) -> None:
        """Another log store may have taken over, or the same one begun anew, without the newest of what was confirmed."""
        with self._lock:
            for book in self._books.values():
                book.written = {}

    def _open(self, run: str) -> Book:
        check_run(run)
        book = self._books[run] = Book(run, self._editions)
        self._editions += 1
        return book

    def _begin(self, stage: str) -> None:
        if stage not in self.stages:
            check_stage(stage)
            self.stages.append(stage)

    def _lose(self, mark: Mark) -> None:
        mark.book.held -= 1
        self._drop(mark.book, mark.stage)

    def _drop(self, book: Book, stage: str) -> None:
        self._dropped += 1
        book.add(f"dropped.{stage}", 1)

    def _forget(self) -> None:
        now, crowded = time.monotonic(), len(self._books) - RUNS
        if crowded <= 0 and now < self._forget_at:
            return
        self._forget_at = now + FORGET_AFTER / 10
        still_since = now - FORGET_AFTER
        if crowded > 0:
            still_since = max(still_since, sorted(book.touched for book in self._books.values())[crowded - 1])
        for book in list(self._books.values()):
            if book.touched <= still_since and not book.held and book.counts == book.written:
                del self._books[book.run]
