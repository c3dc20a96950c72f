"""The SDKs, and how each comes to run on this machine. All that has to be installed for one goes into a temporary folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from shared import ROOT, build, packages

NAMES = ["python", "node", "go", "rust"]


class Absent(Exception):
    """What an SDK needs is not on this machine; says what."""


class Sdk:
    """One SDK: its program for the suite, and the commands of its own tests."""

    def __init__(self, name: str, program: list[str], tests: list[list[str]], folder: Path, environment: Mapping[str, str] = os.environ) -> None:
        self.name = name
        self._program = program
        self._tests = tests
        self._folder = folder
        self._environment = dict(environment)

    @property
    def environment(self) -> dict[str, str]:
        """In which other programs find the SDK, too."""
        return self._environment

    def start(self, *arguments: str, log: IO[str] | int = subprocess.DEVNULL, more: Mapping[str, str] = {}) -> subprocess.Popen[str]:
        """Starts the program. Its warnings, of which there are many where the log store is taken away on purpose, go to `log`."""
        pipe = subprocess.PIPE
        return subprocess.Popen([*self._program, *arguments], stdin=pipe, stdout=pipe, stderr=log, text=True, env=self._environment | dict(more))

    def ask(self, *arguments: str, lines: str = "") -> list[str]:
        """The lines that the program tells, given these on stdin."""
        done = subprocess.run([*self._program, *arguments], input=lines, stdout=subprocess.PIPE, text=True, env=self._environment)
        if done.returncode:
            raise AssertionError(f"{arguments[0]} ended with exit code {done.returncode}")
        return done.stdout.splitlines()

    def test(self) -> str:
        """Runs the SDK's own tests and its checks of types."""
        for command in self._tests:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._environment, cwd=self._folder)
            if done.returncode:
                print(done.stdout, file=sys.stderr)
                raise AssertionError(f"{' '.join(command)} ended with exit code {done.returncode}")
        return f"{len(self._tests)} commands end well"


def prepare(name: str, folder: Path, short: bool = False, tests: bool = True) -> Sdk:
    """Builds or installs an SDK, with or without what its own tests need. Raises Absent where that cannot be done here."""
    return {"python": python, "node": node, "go": go, "rust": rust}[name](folder, short, tests)


def example(home: Path, language: str, file: Path) -> Path:
    """The first example of a README, in a file."""
    _, text = (home / "README.md").read_text().split(f"```{language}\n", 1)
    file.write_text(text.split("```", 1)[0])
    return file


def python(folder: Path, _: bool, tests: bool) -> Sdk:
    found = packages(folder / "python", {"redis": "redis"} | ({"mypy": "mypy"} if tests else {}))
    if found is None:
        raise Absent("its packages cannot be installed: pip install redis mypy")
    home = ROOT / "sdk/python"
    environment = found | {"PYTHONPATH": f"{home}:{found.get('PYTHONPATH', '')}", "MYPYPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    commands = [
        [sys.executable, "-m", "unittest", "discover", "-q", "-t", ".", "-s", "tests"],
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "stampede", "conformance.py"],
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(example(home, "python", folder / "readme.py"))],
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", *map(str, (ROOT / "examples/python").glob("*.py"))],
    ]
    return Sdk("python", [sys.executable, str(home / "conformance.py")], commands, home, environment)


def node(folder: Path, _: bool, tests: bool) -> Sdk:
    if not shutil.which("node") or not shutil.which("npm"):
        raise Absent("there is no node with npm (scripts/setup --with npm)")
    # Packages are looked for in the folders above the files that import them, so that the files go where the packages are.
    for part in ("sdk/node", "sdk/conformance", "examples/node"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "./sdk/node", "redis"]
    if subprocess.run([*install, *(["typescript", "@types/node"] if tests else [])], cwd=folder, stdout=sys.stderr).returncode:
        raise Absent("npm cannot install its packages")
    home = folder / "sdk/node"
    types = ["npx", "tsc", "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "index.d.ts", str(example(home, "js", folder / "readme.mts"))]
    return Sdk("node", ["node", str(home / "conformance.mjs")], [["npm", "test", "--silent"], types], home)


def go(folder: Path, _: bool, __: bool) -> Sdk:
    if not shutil.which("go"):
        raise Absent("there is no go (scripts/setup --with go)")
    home, program = ROOT / "sdk/go", folder / "conformance-go"
    if subprocess.run(["./offline", "build", "-o", str(program), "./conformance"], cwd=home, stdout=sys.stderr).returncode:
        raise Absent("it cannot be built: is redigo there? (scripts/setup --with go)")
    return Sdk("go", [str(program)], [["./offline", "vet", "./..."], ["./offline", "test", "./..."]], home)


def rust(_: Path, short: bool, __: bool) -> Sdk:
    # The tests have built its parts without optimization; a cost is worth telling only with it.
    profile = "dev" if short else "release"
    program = build("-p", "stamp", "--example", "conformance", profile=profile).parent / ("debug" if short else "release") / "examples/conformance"
    return Sdk("rust", [str(program)], [["cargo", "test", "--quiet", "--locked", "-p", "stamp"]], ROOT)
