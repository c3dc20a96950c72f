"""Does each crate import only what it may? Fails and names each edge when a crate of this workspace depends on another one that it
may not import. Dependencies of tests (dev-dependencies) are free. And does the Dockerfile know all crates?

  scripts/check imports
"""

import json
import subprocess
import sys

from shared import ROOT, arguments

# What each crate may import; the order is that of ARCHITECTURE.md.
ALLOWED = {
    "stamp": "",
    "service": "stamp",
    "apiserver": "stamp service",
    "pushserver": "stamp service",
    "mqttclient": "stamp service",
    "load": "stamp",
    "plan": "stamp",
    "scenario": "stamp load plan",
    "measure": "stamp",
    "analysis": "stamp measure",
    "raster": "",
    "reporter": "stamp analysis raster",
    "stack": "stamp",
    "workers": "stamp load",
    "experiment": "stamp service load plan scenario analysis stack workers",
    "live": "stamp analysis",
    "history": "stamp analysis experiment",
    "notify": "stamp load plan analysis experiment history",
    "prometheus": "stamp service load live experiment",
    "page": "stamp service load plan analysis reporter live experiment",
    "otlp": "stamp service load plan analysis experiment",
    "driver": "stamp service apiserver pushserver mqttclient load plan scenario analysis reporter stack workers experiment history notify prometheus page otlp",
}


def main() -> None:
    arguments(__doc__).parse_args()
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"]
    packages = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)["packages"]
    ours = {package["name"] for package in packages}
    # On every platform, with every feature.
    edges = [(package["name"], needed["name"]) for package in packages for needed in package["dependencies"] if needed["name"] in ours and needed["kind"] != "dev"]
    faults = [f"{name} is unknown: add what it may import" for name in ours if name not in ALLOWED]
    faults += [f"{crate} -> {needed} is not allowed; allowed: {ALLOWED[crate] or 'nothing of ours'}" for crate, needed in edges if crate in ALLOWED and needed not in ALLOWED[crate].split()]
    dockerfile = (ROOT / "Dockerfile").read_text()
    faults += [f"the Dockerfile does not copy crates/{name}/Cargo.toml: its first build would not find it" for name in sorted(ours) if f"crates/{name}/Cargo.toml" not in dockerfile]
    for fault in faults:
        print(f"check imports: {fault}", file=sys.stderr)
    if faults or not edges:
        sys.exit(1)
    print(f"check imports: {len(ours)} crates, {len(edges)} imports among them, all allowed")
