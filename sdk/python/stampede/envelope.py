"""The envelope: the two fields of a message that tracing needs. Everything else in it belongs to the user.

All SDKs must decide alike what is an envelope (sdk/conformance/envelopes.jsonl). json.loads alone would not do: it takes the last of two
ids, NaN, and -0 for 0; and it refuses what is nested a thousand deep. So it does the work where it is sure to be right, and `strict` where
it is not.
"""

import json
from typing import Any

from .names import ADHOC, LARGEST_ID, check_id, check_run
from .strict import strict

ID = frozenset(("id", "MsgID", "msgid", "msg_id"))


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


# `tuple` keeps every key of an object, twins included, and tells it from an array; and it runs no Python code.
decode = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=refuse).decode


def envelope(body: bytes) -> tuple[int, str]:
    """The id and the run of a message; the run is `adhoc` where it names none. Raises ValueError for what is no envelope: a service counts that as `garbage`, and
    passes it on unstamped."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ValueError("the body is no JSON object: it is not UTF-8") from None
    try:
        fields = decode(text)
    except (ValueError, RecursionError) as error:
        # What is no JSON, or a number of thousands of digits, or deeper than Python's stack.
        if isinstance(error, json.JSONDecodeError):
            raise ValueError(f"the body is no JSON object: {error}") from None
        fields = strict(text)
    if type(fields) is not tuple:
        raise ValueError("the body is no JSON object")
    if "\\u" in text:
        # A lone surrogate may stand in a value, but not in a name: encoding it raises a ValueError.
        "".join([key for key, _ in fields]).encode()
    id, run = find(fields)
    if id == 0 and "-0" in text:
        id, run = find(strict(text))
    check_id(id)
    check_run(run)
    return id, run


def find(fields: tuple[tuple[str, Any], ...]) -> tuple[int, str]:
    id: int | None = None
    run: str | None = None
    for key, value in fields:
        if key in ID:
            if id is not None:
                raise ValueError("the body has more than one id")
            if type(value) is not int:
                raise ValueError(f"the id is {value!r:.80}: it must be an unsigned integer of at most {LARGEST_ID} (2^53 - 1)")
            id = value
        elif key == "run":
            if run is not None:
                raise ValueError("the body has more than one run")
            if type(value) is not str:
                raise ValueError("the run is no string")
            run = value
    if id is None:
        raise ValueError('the body has no id: give an unsigned integer as "id" (or MsgID, msgid, msg_id)')
    return id, ADHOC if run is None else run
