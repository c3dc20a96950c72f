"""What all SDKs decide alike: sdk/conformance says it, and a test of the Rust crate holds that."""

import base64
import json
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stampede import envelope
from stampede.filter import Filter

FOLDER = Path(__file__).resolve().parents[2] / "conformance"


def vectors(name: str) -> Iterator[tuple[int, Any]]:
    yield from enumerate(map(json.loads, (FOLDER / name).read_text().splitlines()), 1)


class Vectors(unittest.TestCase):
    def test_envelopes(self) -> None:
        for line, vector in vectors("envelopes.jsonl"):
            with self.subTest(line=line):
                body = base64.b64decode(vector["body"])
                if "error" in vector:
                    self.assertRaises(ValueError, envelope, body)
                else:
                    self.assertEqual(envelope(body), (vector["id"], vector["run"]))

    def test_filters(self) -> None:
        for line, vector in vectors("filter.jsonl"):
            with self.subTest(line=line, name=vector["name"]):
                clock_filter, first_ns = Filter(), vector["probes"][0][2] * 1000
                for probe in vector["probes"]:
                    clock_filter.add(*probe)
                assert clock_filter.line
                told = [clock_filter.line.redis_ns(local_ns) for local_ns in vector["ask"]]
                for (redis_ns, error_ns), (expected_ns, bound_ns) in zip(told, vector["answers"], strict=True):
                    self.assertAlmostEqual(redis_ns - first_ns, expected_ns, delta=3)
                    self.assertAlmostEqual(error_ns, bound_ns, delta=3)
                self.assertEqual(clock_filter.steps, vector["steps"])

    def test_both_readers_of_json_agree(self) -> None:
        """The quick one, and the strict one that takes over where the quick one might be wrong."""
        from stampede.envelope import find
        from stampede.names import check_id, check_run
        from stampede.strict import strict

        for line, vector in vectors("envelopes.jsonl"):
            with self.subTest(line=line):
                try:
                    id, run = find(strict(base64.b64decode(vector["body"]).decode()))
                    check_id(id)
                    check_run(run)
                    self.assertEqual((id, run), (vector["id"], vector["run"]))
                except ValueError:
                    self.assertIn("error", vector)


if __name__ == "__main__":
    unittest.main()
