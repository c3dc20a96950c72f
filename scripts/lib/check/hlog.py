"""Can others read report.hlog? Reads it with HdrHistogram's own package for Python, and prints what is in it: for each
tag the intervals, values, median, 99th percentile and maximum in ms. Fails where the file is no interval log, lacks a tag or holds
no values. Needs the package hdrhistogram: pip install hdrhistogram

  scripts/check hlog reports/latest/report.hlog [--tags arrival,user]
"""

from __future__ import annotations

import sys
from pathlib import Path

from shared import arguments

LONGEST_US = 3_600_000_000


def read(file: Path) -> dict[str, tuple[int, HdrHistogram]]:
    """For each tag how many intervals there are, and all their values together."""
    whole: dict[str, tuple[int, HdrHistogram]] = {}
    # Reads into histograms of the same shape as the reference, whose values it only adds to.
    reader = HistogramLogReader(str(file), HdrHistogram(1, LONGEST_US, 3))
    while (interval := reader.get_next_interval_histogram()) is not None:
        tag = interval.get_tag() or ""
        intervals, sum_of_tag = whole.get(tag) or (0, HdrHistogram(1, LONGEST_US, 3))
        sum_of_tag.add(interval)
        whole[tag] = (intervals + 1, sum_of_tag)
    reader.close()
    return whole


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--tags", default="arrival,user", help="tags that must be there, separated by commas")
    args = parser.parse_args()
    # Only now, so that --help needs no package.
    global HdrHistogram, HistogramLogReader
    try:
        from hdrh.histogram import HdrHistogram
        from hdrh.log import HistogramLogReader
    except ImportError:
        sys.exit("check-hlog: the package hdrhistogram is missing: pip install hdrhistogram, or put its folder on PYTHONPATH")
    if not args.file.is_file():
        sys.exit(f"check-hlog: no such file: {args.file}")
    whole = read(args.file)
    print(f"{'tag':<16} {'intervals':>9} {'values':>9} {'p50 ms':>9} {'p99 ms':>9} {'max ms':>9}")
    for tag, (intervals, histogram) in whole.items():
        p50, p99 = (histogram.get_value_at_percentile(percentile) / 1e3 for percentile in (50, 99))
        print(f"{tag:<16} {intervals:>9} {histogram.total_count:>9} {p50:>9.3f} {p99:>9.3f} {histogram.max_value / 1e3:>9.3f}")
    missing = [tag for tag in args.tags.split(",") if tag not in whole]
    if missing:
        sys.exit(f"check-hlog: {args.file}: no intervals with the tag {', '.join(missing)}")
    empty = [tag for tag, (_, histogram) in whole.items() if histogram.total_count == 0]
    if empty:
        sys.exit(f"check-hlog: {args.file}: no values under {', '.join(empty)}")
