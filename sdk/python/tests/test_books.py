import random
import unittest

from stampede.books import RUNS, Books
from stampede.filter import Filter


class WhatWaits(unittest.TestCase):
    def test_one_in_n_waits_and_all_are_counted(self) -> None:
        books = Books(["enricher"], every=7, buffer=1000)
        for id in range(100):
            books.stamp("enricher", id, "r", None)
        totals, marks = books.take()
        self.assertEqual([mark.id for mark in marks], list(range(0, 100, 7)))
        self.assertEqual([counts for _, counts in totals], [{"enricher": 100}])

    def test_what_does_not_fit_is_dropped_and_counted(self) -> None:
        books = Books(["enricher"], every=1, buffer=10)
        for id in range(25):
            books.stamp("enricher", id, "r", None)
        totals, marks = books.take()
        self.assertEqual((len(marks), totals[0][1]), (10, {"enricher": 25, "dropped.enricher": 15}))
        books.stamp("enricher", 25, "r", None)
        books.put_back(marks)
        # The newest of those that come back had the latest place.
        totals, marks = books.take()
        self.assertEqual([mark.id for mark in marks], [*range(9), 25])
        self.assertEqual(totals[0][1], {"enricher": 26, "dropped.enricher": 16})

    def test_totals_are_told_until_they_are_written(self) -> None:
        books = Books(["enricher"], every=100, buffer=10)
        books.count("garbage", 2, "adhoc")
        for _ in range(2):
            totals, _marks = books.take()
            self.assertEqual(totals[0][1], {"garbage": 2})
        books.written(totals)
        self.assertEqual(books.take()[0], [])
        books.write_all_again()
        self.assertEqual(len(books.take()[0]), 1)

    def test_many_runs_do_not_fill_the_memory_and_no_count_is_lost(self) -> None:
        books, counted = Books(["enricher"], every=1, buffer=10), 0
        books.stamp("enricher", 0, "held", None)
        held = books._books["held"]
        for number in range(3 * RUNS):
            books.count("garbage", 1, f"run-{number}")
            if number % 1000 == 0:
                totals, _ = books.take()
                counted += sum(counts.get("garbage", 0) for _, counts in totals)
                books.written(totals)
        totals, _ = books.take()
        counted += sum(counts.get("garbage", 0) for _, counts in totals)
        books.written(totals)
        self.assertEqual(counted, 3 * RUNS)
        self.assertLessEqual(len(books._books), RUNS + 1)
        # Its stamp is on its way: the run is not forgotten.
        self.assertIs(books._books["held"], held)

    def test_names(self) -> None:
        books = Books([], every=1, buffer=10)
        for stage, id, run in [("Enricher", 0, "r"), ("counts", 0, "r"), ("enricher", -1, "r"), ("enricher", 2**53, "r"), ("enricher", 0, "a:b"), ("enricher", 0, "clock")]:
            with self.assertRaises(ValueError, msg=(stage, id, run)):
                books.stamp(stage, id, run, None)
        self.assertRaises(ValueError, books.count, "a@b", 1, "r")
        for at in ("now", 1.5, True):
            self.assertRaises(ValueError, books.stamp, "a", 100, "r", at)


class Clock(unittest.TestCase):
    def test_the_bound_holds(self) -> None:
        """Whatever the delays, and with any drift that crystals have, the true error is within the stated bound."""
        for seed in range(20):
            chance = random.Random(seed)
            drift, clock_filter, now = chance.uniform(-100e-6, 100e-6), Filter(), 0

            def redis_ns(local_ns: int) -> int:
                return 1_763_000_000_000_000_000 + local_ns + int(local_ns * drift)

            for _ in range(200):
                there, back = (chance.choice([20_000, 20_000, 50_000, 1_000_000, 60_000_000]) for _ in range(2))
                self.assertIsNone(clock_filter.add(now, now + there + back, redis_ns(now + there) // 1000))
                assert clock_filter.line
                for moment in (now - 50_000_000, now + there, now + there + back + 100_000_000):
                    told, bound = clock_filter.line.redis_ns(moment)
                    self.assertLessEqual(abs(told - redis_ns(moment)), bound, f"seed {seed}")
                now += there + back + 100_000_000
            self.assertEqual(clock_filter.steps, 0)


if __name__ == "__main__":
    unittest.main()
