"""podman, and images of this machine's programs, which stand in for the public ones."""

import os
import re
import resource
import shutil
import subprocess
from pathlib import Path

from chart import fail
from shared import driver


class Podman:
    """podman, with what this machine needs; everything has this process's name in it, and ends with it."""

    def __init__(self, folder: Path) -> None:
        for program in ("podman", "redis-server", "redis-cli", "mosquitto"):
            shutil.which(program) or fail(f"--podman needs {program}")
        if os.geteuid():
            fail("--podman needs root: volumes belong to the users of the pods")
        self.folder, self.name = folder, f"stampede-test-{os.getpid()}"
        # podman asks for limits that a machine may not allow to be raised, and crun for a cgroup hierarchy of one kind.
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        files = 65536 if files == resource.RLIM_INFINITY else min(files, 65536)
        lines = ["[containers]", f'default_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]', "[engine]", 'events_logger = "file"']
        if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
            lines += ['cgroup_manager = "cgroupfs"'] + ['runtime = "runc"'] * bool(shutil.which("runc"))
        settings = folder / "containers.conf"
        settings.write_text("\n".join([*lines, ""]))
        self.environment = os.environ | {"CONTAINERS_CONF": str(settings)}

    def start(self, *words: str, **options) -> subprocess.Popen:
        return subprocess.Popen(["podman", "--log-level=error", *words], env=self.environment, text=True, **options)

    def __call__(self, *words: str, may_fail: bool = False) -> str:
        process = self.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, told = process.communicate()
        if process.returncode and not may_fail:
            fail(f"podman {' '.join(words)} failed:\n{out}{told}")
        return out.strip()


class Images:
    """Images of the programs of this machine, each with the libraries that it links, and nothing else."""

    def __init__(self, podman: Podman) -> None:
        self.podman = podman
        self.driver = self.build("driver", {"driver": driver()}, 'USER 65532:65532\nENTRYPOINT ["/usr/local/bin/driver"]\n')
        self.redis = self.build("redis", {name: name for name in ("redis-server", "redis-cli")}, "")
        self.mosquitto = self.build("mosquitto", {"mosquitto": "mosquitto"}, "")

    def build(self, name: str, programs: dict[str, str], lines: str) -> str:
        root = self.podman.folder / "images" / name
        target = root / "usr" / "local" / "bin"
        target.mkdir(parents=True)
        (root / "tmp").mkdir(mode=0o777)
        for called, program in programs.items():
            found = Path(shutil.which(program)).resolve()
            shutil.copy(found, target / called)
            linked = subprocess.run(["ldd", found], stdout=subprocess.PIPE, text=True, check=True).stdout
            for library in re.findall(r"/[^ )]*", linked):
                (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, root / library[1:])
        file = self.podman.folder / "images" / f"{name}.containerfile"
        file.write_text(f"FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin\n{lines}")
        tag = f"localhost/{self.podman.name}-{name}:test"
        self.podman("build", "--quiet", "--tag", tag, "--file", str(file), str(root))
        return tag

    def values(self) -> dict:
        repository, tag = self.driver.rsplit(":", 1)
        image = {"repository": repository, "tag": tag, "pullPolicy": "Never"}
        return {"image": image, "redis": {"image": self.redis, "imagePullPolicy": "Never"}, "mosquitto": {"image": self.mosquitto, "imagePullPolicy": "Never"}}
