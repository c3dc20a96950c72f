"""Does a report hold what that of any healthy sweep must? Fails and names each fault unless FILE is the TSV report of a sweep with ROWS
rows of ascending concurrency in which every message arrived: none lost, no HTTP errors, accepted = arrived > 0, and
0 < arrival_p50_ms <= arrival_p99_ms. Where fewer than 368 messages were sampled, arrival_p99_ms may be n/a.

  scripts/check tsv FILE ROWS
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from shared import arguments

FIRST = ["concurrency", "http_mean_ms", "rps", "arrival_mean_s"]
NUMBERS = ["concurrency", "accepted", "arrived", "lost", "http_errors", "sampled", "arrival_p50_ms", "arrival_p99_ms"]


def faults_of(row: dict[str, str], before: float) -> Iterator[str]:
    known = [name for name in NUMBERS if name != "arrival_p99_ms" or row[name] != "n/a"]
    try:
        value = {name: float(row[name]) for name in known}
    except (TypeError, ValueError) as error:
        yield f"no number: {error}"
        return
    if "arrival_p99_ms" not in value and value["sampled"] >= 368:
        yield "arrival_p99_ms is n/a"
    if value["concurrency"] <= before:
        yield f"concurrency {row['concurrency']} comes after {before:.0f}"
    for name in ("lost", "http_errors"):
        if value[name]:
            yield f"{name} is {row[name]}"
    if not 0 < value["accepted"] == value["arrived"]:
        yield f"{row['accepted']} accepted, but {row['arrived']} arrived"
    if not 0 < value["arrival_p50_ms"] <= value.get("arrival_p99_ms", float("inf")):
        yield f"arrival_p50_ms {row['arrival_p50_ms']}, arrival_p99_ms {row['arrival_p99_ms']}"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("rows", type=int)
    args = parser.parse_args()
    with args.file.open() as text:
        table = csv.DictReader(text, delimiter="\t")
        rows, names = list(table), table.fieldnames or []
    faults = [f"there is no column {name}" for name in NUMBERS if name not in names]
    if names[:4] != FIRST:
        faults.append(f"the first columns are {' '.join(names[:4])}")
    if len(rows) != args.rows:
        faults.append(f"{len(rows)} rows instead of {args.rows}")
    if not faults:
        before = [0.0, *(float(row["concurrency"]) for row in rows)]
        faults = [f"row {number}: {fault}" for number, row in enumerate(rows, 1) for fault in faults_of(row, before[number - 1])]
    for fault in faults:
        print(f"check tsv: {args.file}: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)
