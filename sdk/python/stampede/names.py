"""What may be the name of a run, of a stage or of a counter (docs/protocol.md). A wrong one raises ValueError."""

import re

ADHOC = "adhoc"  # the run of messages that name none
LARGEST_ID = 2**53 - 1

RUN = re.compile(r"[A-Za-z0-9._-]{1,64}")
RESERVED = ("service", "sweep", "clock")
STAGE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
COUNTER = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


def check_run(run: str) -> None:
    if not RUN.fullmatch(run):
        raise ValueError(f"run {run[:80]!r} is invalid: use 1 to 64 characters of A-Z a-z 0-9 . _ -")
    if run in RESERVED:
        raise ValueError(f"run {run!r} is a reserved name: choose another")


def check_stage(stage: str) -> None:
    # `counts` is the key beside the stages' own: trace:<run>:counts.
    if not STAGE.fullmatch(stage) or stage == "counts":
        raise ValueError(f"stage {stage[:80]!r} is invalid: use 1 to 32 characters of a-z 0-9 _ -, starting with a letter")


def check_counter(name: str) -> None:
    if not COUNTER.fullmatch(name):
        raise ValueError(f"counter {name[:80]!r} is invalid: use 1 to 64 characters of a-z 0-9 . _ -, starting with a letter")


def check_id(id: int) -> None:
    if type(id) is not int or not 0 <= id <= LARGEST_ID:  # isinstance would take true for an int
        raise ValueError(f"the id is {id!r:.80}: it must be an unsigned integer of at most {LARGEST_ID} (2^53 - 1)")
