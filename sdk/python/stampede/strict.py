"""Reads a JSON object to the letter of RFC 8259, whatever its depth: slow, for the few messages that Python's own reader might read wrongly."""

import json
import re
from typing import Any

SPACE = r"[ \t\n\r]*"
TOKEN = re.compile(
    SPACE
    + r"""(?:(?P<string>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")
    |(?P<float>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)|-0)
    |(?P<integer>-?(?:0|[1-9][0-9]*))
    |(?P<word>true|false|null)
    |(?P<mark>[][{},:]))""".replace("\n    ", "")
)
END = re.compile(SPACE + r"\Z")
DIGITS = 20  # more are no id, and Python refuses thousands of them

# What may come next: a value; the first value or the end of an array, the first name or the end of an object; a name; a colon; or what follows on a value.
VALUE, FIRST_VALUE, FIRST_NAME, NAME, COLON, AFTER = range(6)


def strict(text: str) -> tuple[tuple[str, Any], ...]:
    """The pairs of the object at the top. Values that are objects or arrays are told as None. Raises ValueError for what is no object."""
    pairs: list[tuple[str, Any]] = []
    open: list[str] = []  # the brackets around this place
    name, expected, at = "", VALUE, 0
    while not END.match(text, at):
        token = TOKEN.match(text, at)
        if not token or (not open and expected == AFTER):
            raise ValueError(f"the body is no JSON object: column {at + 1} is unexpected")
        kind, word = str(token.lastgroup), str(token[token.lastgroup or 0])
        at = token.end()
        if not open and word != "{":
            raise ValueError("the body is no JSON object")
        value: Any = None
        if kind == "string" and expected in (NAME, FIRST_NAME):
            name, expected = unquoted(word) if len(open) == 1 else "", COLON
            continue
        if word == ":" and expected == COLON:
            expected = VALUE
            continue
        if word == "," and expected == AFTER:
            expected = NAME if open[-1] == "{" else VALUE
            continue
        if word in ("{", "[") and expected in (VALUE, FIRST_VALUE):
            open.append(word)
            expected = FIRST_NAME if word == "{" else FIRST_VALUE
            continue
        if word == "}" and open[-1] == "{" and expected in (AFTER, FIRST_NAME) or word == "]" and open[-1] == "[" and expected in (AFTER, FIRST_VALUE):
            open.pop()
        elif kind == "mark" or expected not in (VALUE, FIRST_VALUE):
            raise ValueError(f"the body is no JSON object: column {at} is unexpected")
        elif len(open) == 1:
            value = scalar(kind, word, name)
        expected = AFTER
        if len(open) == 1:
            pairs.append((name, value))
    if open or expected != AFTER:
        raise ValueError("the body is no JSON object: it ends too early")
    return tuple(pairs)


def scalar(kind: str, word: str, name: str) -> Any:
    if kind == "integer":
        return int(word) if len(word) <= DIGITS else None
    # Any other string than the run may hold a lone surrogate, as nobody reads it.
    return unquoted(word) if kind == "string" and name == "run" else None


def unquoted(word: str) -> str:
    text: str = json.loads(word)
    text.encode()  # A lone surrogate raises ValueError.
    return text
