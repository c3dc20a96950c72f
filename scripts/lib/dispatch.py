"""`scripts/bench NAME` and `scripts/check NAME`: each name is a module of a folder beside this one, with a `main` that takes the
program's arguments, and a docstring whose first sentence says what it answers."""

import ast
import importlib
import re
import signal
import sys
from pathlib import Path


def dispatch(kind: str) -> None:
    folder = Path(__file__).parent / kind
    names = sorted(file.stem for file in folder.glob("*.py"))
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(f"Usage: scripts/{kind} NAME [OPTIONS]    (scripts/{kind} NAME --help has them)\n")
        width = max(map(len, names))
        for name in names:
            told = ast.get_docstring(ast.parse((folder / f"{name}.py").read_text())) or ""
            first = re.split(r"(?<=[?.])\s", told)[0]
            print(f"  {name:<{width}} {' '.join(first.split())}")
        sys.exit(0 if len(sys.argv) > 1 else 2)
    name = sys.argv[1]
    if name not in names:
        sys.exit(f"scripts/{kind}: there is no {name}: choose one of {', '.join(names)}")
    # So that what was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.argv = [f"scripts/{kind} {name}", *sys.argv[2:]]
    sys.exit(importlib.import_module(f"{kind}.{name}").main())
