import json
import os
import socket
import subprocess
import sys
import threading
import time
import unittest

from stampede import Tracer, moment
from stampede.clock import ClockState, waited
from stampede.filter import Line, Step
from stampede.scale import Scale
from stampede.scripts import PLACE
from stampede.store import Store

from .server import DEADLINE, Server, wait_until


class OverRealRedis(unittest.TestCase):
    def setUp(self) -> None:
        self.server = self.enterContext(Server())
        self.redis = self.server.redis

    def stamps(self, run: str = "adhoc", stage: str = "enricher") -> list[dict[str, object]]:
        return [json.loads(entry) for entry in self.redis.lrange(f"trace:{run}:{stage}", 0, -1)]

    def test_sampled_messages_are_stamped_and_all_are_counted(self) -> None:
        with Tracer(self.server.url, "enricher", ["enricher"]) as tracer:
            wait_until(lambda: tracer.now() is not None)
            earlier = moment()
            begin = self.microseconds()
            for id in range(1000):
                tracer.stamp("enricher", id, "r")
            tracer.stamp("enricher", 1000, "r", at=earlier)
            tracer.count("garbage")
        stamps = self.stamps("r")
        self.assertEqual([stamp["id"] for stamp in stamps], list(range(0, 1001, 100)))
        self.assertEqual((self.server.counts("r"), self.server.counts()), ({"enricher": 1001}, {"garbage": 1}))
        events = [event(stamp) for stamp in stamps]
        # The last one tells a moment from before the others.
        self.assertLessEqual(begin - stamps[0]["err"], events[0])
        self.assertLess(events[-1], events[0])
        self.assertEqual(sorted(events[:-1]), events[:-1])
        self.assertGreater(self.redis.ttl("trace:r:enricher"), 86_000)
        self.assertGreater(self.redis.ttl("trace:r:counts"), 86_000)

    @unittest.skipUnless(sys.platform == "linux", "the kernel times no answers")
    def test_an_answer_counts_from_when_the_kernel_had_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.redis.config_set("port", port)
        link = Store(f"redis://127.0.0.1:{port}").connect().time_arrivals()

        def asked() -> int | None:
            link.send(link.pack("TIME"))
            return link.await_bytes()

        # The kernel begins to time packets a little after it was told to.
        wait_until(lambda: asked() or link.answer() is None)
        link.answer()
        begin = time.time_ns()
        asked()
        seen = time.time_ns()
        arrived = link.await_bytes() or 0
        self.assertTrue(begin <= arrived <= seen)
        self.assertEqual(waited(arrived, begin, seen, seen - begin), seen - arrived)
        # A wall clock that was set meanwhile, or tells no time of the probe, does not count.
        self.assertEqual([waited(arrived, begin, seen + 9999, seen - begin), waited(begin - 1, begin, seen, seen - begin)], [0, 0])
        self.assertEqual(len(link.answer()), 2)

    def test_a_process_that_ends_without_close_loses_nothing(self) -> None:
        program = f"import stampede; tracer = stampede.Tracer({self.server.url!r}, 'e', ['e']); tracer.stamp('e', 100, 'r')"
        subprocess.run([sys.executable, "-c", program], check=True)
        self.assertEqual((self.server.counts("r"), len(self.stamps("r", "e"))), ({"e": 1}, 1))

    def test_plain_stamps_tell_no_error(self) -> None:
        with Tracer(self.server.url, "enricher", ["enricher"], every=1, clock="plain") as tracer:
            tracer.stamp("enricher", 7)
            wait_until(lambda: self.stamps())
            self.assertIsNone(tracer.now())
            self.assertEqual(self.beat()["clock"], None)
        self.assertEqual(self.stamps()[0].keys(), {"id", "time"})

    def test_a_beat_while_it_lives_and_none_after(self) -> None:
        with Tracer(self.server.url, "enricher", ["enricher"], every=7, version="1.4.0") as tracer:
            wait_until(lambda: tracer.now() and self.beats() and self.beat()["clock"])
            beat = self.beat()
            told = {key: beat[key] for key in ("service", "version", "every", "stages")}
            self.assertEqual(told, {"service": "enricher", "version": "1.4.0", "every": 7, "stages": ["enricher"]})
            self.assertEqual(beat["clock"].keys(), {"error_us", "host_offset_us", "drift_ppm", "steps"})
            self.assertTrue(beat["cpu_us"] > 0 and beat["memory_bytes"] > 0 and beat["pid"] > 0 and beat["host"])
        self.assertEqual(self.beats(), [])

    def test_a_log_store_that_comes_later_gets_everything(self) -> None:
        self.server.stop()
        tracer = Tracer(self.server.url, "enricher", ["enricher"], every=10)
        for id in range(100):
            tracer.stamp("enricher", id)
        self.assertFalse(tracer.flush(0.2))
        self.server.start()
        self.assertEqual(tracer.close(), 0)
        self.assertEqual((len(self.stamps()), self.server.counts()), (10, {"enricher": 100}))

    def test_what_cannot_be_written_is_told(self) -> None:
        self.server.stop()
        tracer = Tracer(self.server.url, "enricher", ["enricher"], every=10, buffer=5)
        for id in range(100):
            tracer.stamp("enricher", id)
        self.assertEqual(tracer.close(0.2), 10)  # Five wait, and five did not fit.

    def test_a_forked_process_goes_on_under_a_name_of_its_own(self) -> None:
        """Whatever the parent's threads were doing at the moment of the fork."""
        ended = threading.Event()

        def stamp_on() -> None:
            id = 0
            while not ended.is_set():
                tracer.stamp("enricher", id, "parent")
                id += 1

        with Tracer(self.server.url, "enricher", ["enricher"], every=10) as tracer:
            thread = threading.Thread(target=stamp_on)
            thread.start()
            children = [self.forked(tracer) for _ in range(20)]
            codes = [exit_code(child) for child in children]
            ended.set()
            thread.join()
        self.assertEqual(codes, [0] * 20)
        self.assertEqual((len(self.stamps("child")), self.server.counts("child")), (200, {"enricher": 2000}))
        self.assertEqual(len(self.redis.hkeys("trace:child:counts")), 20)
        self.assertEqual(len(self.redis.hkeys("trace:parent:counts")), 1)

    def forked(self, tracer: Tracer) -> int:
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            for id in range(100):
                tracer.stamp("enricher", id, "child")
            code = tracer.close()
        finally:
            os._exit(code)

    def test_a_log_store_that_begins_anew_gets_all_totals_again(self) -> None:
        tracer = Tracer(self.server.url, "enricher", ["enricher"])
        tracer.stamp("enricher", 1, "still")
        self.assertTrue(tracer.flush())
        self.server.stop()
        self.server.start()
        wait_until(lambda: self.server.counts("still") == {"enricher": 1})
        tracer.close()

    def test_a_key_of_the_wrong_type_spoils_nothing_but_its_own_run(self) -> None:
        self.redis.set("trace:spoilt:enricher", "x")
        with self.assertLogs("stampede", "WARNING"), Tracer(self.server.url, "enricher", ["enricher"], every=1) as tracer:
            tracer.stamp("enricher", 1, "spoilt")
            tracer.flush()
            tracer.stamp("enricher", 1, "good")
        self.assertEqual(len(self.stamps("good")), 1)
        self.assertEqual(self.server.counts("spoilt"), {"enricher": 1, "dropped.enricher": 1})

    def test_places_in_the_list_of_steps(self) -> None:
        """Two processes see the same step; one that sees two as one finds the last place; one that comes later takes the length."""
        link = Store(self.server.url).connect()
        link.ask(("SCRIPT", "LOAD", PLACE))

        def clock(size_us: int) -> ClockState:
            return ClockState(Line(0, 0, 0, 0.0, 0.0), 0, Step(size_us, 60 if size_us else 0))

        def number(scale: Scale, size_us: int, looks: bool = False) -> int:
            return scale.number(clock(size_us), looks, link, 60)

        first, second, late = Scale(), Scale(), Scale()
        self.assertEqual([number(scale, 0) for scale in (first, second, late)], [0, 0, 0])
        self.assertEqual([number(first, 5_000_000), number(second, 5_000_000)], [1, 1])
        self.assertEqual([number(first, 2_000_000), number(late, 2_000_000), number(second, 5_000_000)], [2, 2, 1])
        self.assertEqual(number(Scale(), 0), 2)
        self.assertEqual(number(second, 2_000_000, looks=True), 2)
        link.close()

    def test_it_connects_anew_as_often_as_need_be(self) -> None:
        store = Store(self.server.url)
        for _ in range(150):
            store.connect().close()

    def test_wrong_options_are_told(self) -> None:
        for options in ({"every": 1.5}, {"every": 0}, {"stages": "enricher"}, {"stages": ["Enricher"]}, {"service": "a:b"}, {"clock": "wall"}):
            with self.assertRaises(ValueError):
                Tracer(**{"url": self.server.url, "service": "enricher", "stages": ["enricher"]} | options)

    def test_what_cannot_be_counted_is_told(self) -> None:
        with Tracer(self.server.url, "enricher", ["enricher"]) as tracer:
            # Whether they would be sampled or not.
            for id in (-100, -1, 2**53, 2**53 + 1, 1.5, 100.0, float("nan"), "5", None, True):
                with self.assertRaises(ValueError, msg=repr(id)):
                    tracer.stamp("enricher", id)
            for by in (-5, 1.5, "1"):
                with self.assertRaises(ValueError):
                    tracer.count("garbage", by)
        self.assertEqual(self.server.counts(), {})

    def test_a_wrong_address_tells_no_password(self) -> None:
        for url in ("http://me:QQQ@x", "redis://me:QQQ/QQ@x:6379", "me:QQQ@x"):
            with self.assertRaises(ValueError) as raised:
                Tracer(url, "enricher", [])
            self.assertNotIn("QQ", str(raised.exception))

    def test_a_database_is_a_number(self) -> None:
        for path in ("/x", "/1/2", "/-1", "?db=x"):
            with self.assertRaisesRegex(ValueError, "no address of a Redis server", msg=path):
                Tracer("redis://h" + path, "enricher", [])
        with Tracer(self.server.url + "?db=3", "enricher", [], every=1) as tracer:
            tracer.stamp("enricher", 7)
        self.assertEqual((self.redis.dbsize(), self.redis.info("keyspace").keys()), (0, {"db3"}))
        for path in ("", "/", "/3", "?db=3"):
            Store("redis://h" + path)

    def test_warnings_name_the_server_and_the_remedy(self) -> None:
        self.server.stop()
        url = self.server.url.replace("//", "//me:QQQ@")
        with self.assertLogs("stampede", "WARNING") as logs:
            tracer = Tracer(url, "enricher", ["enricher"])
            tracer.stamp("enricher", 100)
            wait_until(lambda: len(logs.output) == 2)
            tracer.close(0.1)
        for warning in logs.output:
            self.assertIn(f"redis at {self.server.url}: ", warning)
            self.assertIn("is it running, and is the address right?", warning)
            self.assertNotIn("QQQ", warning)
        self.server.start()
        with self.assertLogs("stampede", "WARNING") as logs:
            Tracer(url, "enricher", ["enricher"], clock="plain").close(0.1)
        self.assertIn(f"redis at {self.server.url}: ", logs.output[0])
        self.assertIn("are user and password right?", logs.output[0])

    def microseconds(self) -> int:
        seconds, micros = self.redis.time()
        return seconds * 1_000_000 + micros

    def beats(self) -> list[str]:
        return list(self.redis.scan_iter("trace:service:*"))

    def beat(self) -> dict:
        return json.loads(self.redis.get(self.beats()[0]))


def event(stamp: dict) -> int:
    """The event's time, µs."""
    seconds, micros = stamp["time"].split(".")
    return int(seconds) * 1_000_000 + int(micros) - stamp["lag"]


if __name__ == "__main__":
    unittest.main()


def exit_code(child: int) -> int:
    """Ends the process where it hangs."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
