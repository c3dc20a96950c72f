"""What the Helm chart renders, run as pods by podman. `podman kube play` knows pods; what a cluster makes of the rest (names of services,
volumes, Secrets, replicas, Jobs) is done here. Probes are asked by the script, as the kubelet would."""

import base64
import http.client
import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from chart import CHART, Helm, fail, say
from podman import Images, Podman
from shared import ROOT

RELEASE = "stampede"
REPORTS = f"{RELEASE}-reports"


class Pod:
    """One pod, from the template that a cluster would make it of."""

    def __init__(self, cluster: "Cluster", name: str, template: dict, address: str, claims: dict[str, str], environment: dict[str, str]) -> None:
        self.cluster, self.name, self.address = cluster, name, address
        self.called = f"{cluster.podman.name}-{name}"
        self.template = template["spec"]
        spec = json.loads(json.dumps(self.template))
        for key in ("affinity", "tolerations", "topologySpreadConstraints", "automountServiceAccountToken", "priorityClassName"):
            spec.pop(key, None)
        spec.setdefault("hostname", name)
        spec.setdefault("restartPolicy", "Always")
        spec["hostAliases"] = [{"ip": ip, "hostnames": [host]} for host, ip in cluster.names.items()]
        spec["volumes"] = [{"name": v["name"], "hostPath": {"path": str(self.volume(v, claims))}} for v in spec.get("volumes", [])]
        spec["volumes"] += [{"name": name, "hostPath": {"path": str(cluster.claim(claim))}} for name, claim in claims.items()]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            # podman would publish ports on this machine, and ask probes with programs that the images do not have.
            for key in ("ports", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle"):
                container.pop(key, None)
            known = {one["name"]: self.variable(one) for one in container.get("env", [])} | environment
            container["env"] = [{"name": key, "value": value} for key, value in known.items()]
            container["args"] = [expanded(word, known) for word in container.get("args", [])]
        self.document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.called, "labels": template["metadata"]["labels"]}, "spec": spec}
        self.process: subprocess.Popen | None = None

    def variable(self, one: dict) -> str:
        if "value" in one:
            return one["value"]
        source = one["valueFrom"]
        if "fieldRef" in source:
            return {"metadata.name": self.name}[source["fieldRef"]["fieldPath"]]
        return self.cluster.secrets[source["secretKeyRef"]["name"]][source["secretKeyRef"]["key"]]

    def volume(self, volume: dict, claims: dict[str, str]) -> Path:
        """A folder with what the volume holds, owned as the kubelet does it."""
        if "persistentVolumeClaim" in volume:
            return self.cluster.claim(volume["persistentVolumeClaim"]["claimName"])
        folder = self.cluster.folder / "volumes" / self.name / volume["name"]
        folder.mkdir(parents=True)
        group = self.template["securityContext"]["fsGroup"]
        os.chown(folder, 0, group)
        if "emptyDir" in volume:
            folder.chmod(0o2775)
            return folder
        mode = next((volume[kind].get("defaultMode", 0o644) for kind in ("configMap", "secret", "projected") if kind in volume))
        for source in volume.get("projected", {}).get("sources", [volume]):
            if "configMap" in source:
                content, items = self.cluster.configs[source["configMap"]["name"]], None
            else:
                content, items = self.cluster.secrets[source["secret"].get("secretName") or source["secret"]["name"]], source["secret"].get("items")
            for item in items or [{"key": key, "path": key} for key in content]:
                file = folder / item["path"]
                file.write_text(content[item["key"]])
                file.chmod(mode)
                os.chown(file, 0, group)
        return folder

    def play(self) -> None:
        """Starts it. podman waits for the end of init containers, and is not waited for."""
        file = self.cluster.folder / f"{self.name}.json"
        file.write_text(json.dumps(self.document))
        log = open(self.cluster.folder / f"{self.name}.log", "w")
        network = ["--network", self.cluster.podman.name, "--ip", self.address]
        self.process = self.cluster.podman.start("kube", "play", *network, str(file), stdout=log, stderr=subprocess.STDOUT)

    @property
    def container(self) -> str:
        return f"{self.called}-{self.template['containers'][0]['name']}"

    def ready(self) -> bool:
        """What its readiness probe says."""
        container = self.template["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        probe = container["readinessProbe"]
        try:
            if "tcpSocket" in probe:
                socket.create_connection((self.address, ports[probe["tcpSocket"]["port"]]), 2).close()
                return True
            asked = probe["httpGet"]
            headers = {header["name"]: header["value"] for header in asked.get("httpHeaders", [])}
            return self.get(ports[asked["port"]], asked["path"], headers)[0] < 400
        except OSError:
            return False

    def get(self, port: int, path: str, headers: dict[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.address, port, timeout=5)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def logs(self) -> str:
        process = self.cluster.podman.start("logs", self.container, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return process.communicate()[0]

    def exit_code(self, within: float) -> int:
        """Of its container, once it has ended."""
        self.cluster.until(lambda: self.process.poll() is not None, within, f"{self.name} does not get past its init containers")
        if self.process.returncode:
            fail(f"podman could not start {self.name}:\n{(self.cluster.folder / f'{self.name}.log').read_text()}")
        inspect = ["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", self.container]
        self.cluster.until(lambda: self.cluster.podman(*inspect).startswith("exited"), within, f"{self.name} does not end")
        return int(self.cluster.podman(*inspect).split()[1])


class Cluster:
    """The pods of one release."""

    def __init__(self, podman: Podman, helm: Helm, values: dict, options: list[str], secrets: dict[str, dict[str, str]]) -> None:
        self.podman, self.helm, self.values, self.options, self.secrets = podman, helm, values, options, secrets
        self.folder = Path(tempfile.mkdtemp(dir=podman.folder))
        self.names: dict[str, str] = {}
        self.pods: dict[str, Pod] = {}
        podman("network", "create", podman.name)
        network = json.loads(podman("network", "inspect", podman.name))[0]
        self.addresses = (str(ip) for ip in list(ipaddress.ip_network(network["subnets"][0]["subnet"]).hosts())[20:])

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        for pod in self.pods.values():
            if failed:
                told = (self.folder / f"{pod.name}.log").read_text() + pod.logs()
                sys.stderr.write("".join(f"{pod.name}: {line}\n" for line in told.splitlines()[-15:]))
            self.podman("pod", "rm", "--force", "--time", "0", pod.called, may_fail=True)
            if pod.process:
                pod.process.wait()
        self.podman("network", "rm", "--force", self.podman.name, may_fail=True)

    def claim(self, name: str) -> Path:
        folder = self.folder / "claims" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            # The user of every pod that mounts it is in its group; a cluster does so by fsGroup.
            folder.chmod(0o777)
        return folder

    def until(self, holds: Callable[[], bool], within: float, otherwise: str) -> None:
        deadline = time.monotonic() + within
        while not holds():
            if time.monotonic() > deadline:
                fail(otherwise)
            time.sleep(0.2)

    def apply(self, values: dict) -> list[Pod]:
        """Starts what these values render and is not there yet. All at once, as a cluster does."""
        file = self.folder / "values.json"
        file.write_text(json.dumps(merged(self.values, values)))
        documents = self.helm.render(*self.options, "--values", str(file))
        self.configs = {one["metadata"]["name"]: one["data"] for one in documents if one["kind"] == "ConfigMap"}
        for secret in (one for one in documents if one["kind"] == "Secret"):
            # What is there stays, as the chart asks for it.
            self.secrets.setdefault(secret["metadata"]["name"], {key: base64.b64decode(value).decode() for key, value in secret["data"].items()})
        templates = [one for one in replicas(documents) if one[0] not in self.pods]
        addresses = {name: next(self.addresses) for name, *_ in templates}
        # A name stands for its pods; of several it is the first that answers here.
        for document in documents:
            if document["kind"] == "Service":
                behind = [name for name, template, *_ in templates if document["spec"]["selector"].items() <= template["metadata"]["labels"].items()]
                if behind:
                    self.names[document["metadata"]["name"]] = addresses[behind[0]]
        new = [Pod(self, name, template, addresses[name], claims, environment) for name, template, claims, environment in templates]
        for pod in new:
            self.pods[pod.name] = pod
            pod.play()
        return new

    def report(self) -> Path:
        return self.claim(REPORTS) / "latest" / "report.tsv"


def expanded(word: str, known: dict[str, str]) -> str:
    """An argument with its $(VARIABLES)."""
    return re.sub(r"\$\((\w+)\)", lambda found: known.get(found[1], found[0]), word)


def merged(one: dict, other: dict) -> dict:
    both = dict(one)
    for key, value in other.items():
        both[key] = merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both


def replicas(documents: list[dict]) -> Iterator[tuple[str, dict, dict[str, str], dict[str, str]]]:
    """Each pod that a cluster would make: its name, template, claims of its own, and further variables."""
    for document in documents:
        name, spec = document["metadata"]["name"], document.get("spec", {})
        if document["kind"] == "Deployment":
            yield from ((f"{name}-{number}", spec["template"], {}, {}) for number in range(spec["replicas"]))
        elif document["kind"] == "StatefulSet":
            for number in range(spec["replicas"]):
                claims = [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])]
                yield f"{name}-{number}", spec["template"], {claim: f"{claim}-{name}-{number}" for claim in claims}, {}
        elif document["kind"] == "Job":
            indexed = spec.get("completionMode") == "Indexed"
            for number in range(spec.get("completions", 1)):
                yield f"{name}-{number}", spec["template"], {}, {"JOB_COMPLETION_INDEX": str(number)} if indexed else {}


def check(helm: Helm, workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        podman = Podman(Path(folder))
        # Pods run as others than root, and read what is in here.
        Path(folder).chmod(0o755)
        try:
            images = Images(podman)
            say(f"podman {podman('version', '--format', '{{.Client.Version}}')}, with images of this machine's programs")
            check_sweep(podman, helm, images, workers)
            if workers > 1:
                check_lost_worker(podman, helm, images, workers)
            check_loss(podman, helm, images, workers)
            check_secured(podman, helm, images, workers)
        finally:
            for name in ("driver", "redis", "mosquitto"):
                podman("image", "rm", "--force", f"localhost/{podman.name}-{name}:test", may_fail=True)


def run_of(args: list[str], workers: int) -> dict:
    return {"run": {"enabled": True, "args": args}, "worker": {"replicas": workers}}


def ended(cluster: Cluster, pods: list[Pod], code: int = 0) -> None:
    """The run among these has ended with this code, and its workers with 0."""
    for pod in pods:
        is_run, is_worker = "-run-" in pod.name, "-worker-" in pod.name
        if is_run or is_worker:
            ended_as(pod, code if is_run else 0)


def ended_as(pod: Pod, code: int) -> None:
    found = pod.exit_code(180)
    if found != code:
        fail(f"{pod.name} ended with {found}, not with {code}")


def show(cluster: Cluster, rows: int) -> None:
    print(cluster.report().read_text(), end="", flush=True)
    subprocess.run([ROOT / "scripts" / "check", "tsv", cluster.report(), str(rows)], check=True)


def check_sweep(podman: Podman, helm: Helm, images: Images, workers: int) -> None:
    """A sweep, the page, and a plan whose threshold is missed."""
    with Cluster(podman, helm, images.values(), [], {}) as cluster:
        say(f"all pods at once, with a sweep that waits for the others, and {workers} workers")
        sweep = run_of(["--from", "1", "--to", "3", "--duration", "3s", "--warmup", "500ms"], workers)
        pods = cluster.apply(merged(sweep, {"ui": {"enabled": True}}))
        for pod in pods:
            if "readinessProbe" in pod.template["containers"][0]:
                cluster.until(pod.ready, 60, f"{pod.name} does not become ready")
        ended(cluster, pods)
        show(cluster, 3)
        check_page(cluster)
        say("a plan from a ConfigMap, with a threshold that is missed")
        plan = """
            stampede: 1
            name: orders
            target: "${env.STAMPEDE_TARGET}"
            pipeline: { redis: "${env.STAMPEDE_REDIS}", log_store: "${env.STAMPEDE_LOG_STORE}" }
            data: { item: { csv: items.csv } }
            users:
              buyer:
                tasks:
                  buy:
                    steps:
                      - { name: order, POST: /orders, json: { id: "${id}", run: "${run}", item: "${item.name}" } }
            load: { users: 4, warmup: 500ms, duration: 2s }
            thresholds: [ "lost==0", "arrival.p50<1us" ]
            """
        run = {"run": {"enabled": True, "id": "plan", "plan": plan, "data": {"items.csv": "name\ntea\ncoffee\n"}}, "worker": {"replicas": workers}}
        ended(cluster, cluster.apply(run), code=99)
        say("its exit code is 99")


def check_page(cluster: Cluster) -> None:
    """The page is watched with the token of its Secret alone, and lists the sweep."""
    page = cluster.pods[f"{RELEASE}-ui-0"]
    token = cluster.secrets[f"{RELEASE}-ui-token"]["token"]
    if token in page.logs():
        fail("the page's token stands in its log")
    host, bearer = {"Host": "localhost:8089"}, {"Authorization": f"Bearer {token}"}
    found = [page.get(8089, "/api/state", headers)[0] for headers in ({"Host": "example.com"}, host, host | bearer)]
    if found != [421, 401, 200]:
        fail(f"the page answers {found} to another name, without a token, and with it")
    sweep = cluster.report().parent.resolve().name
    if sweep not in page.get(8089, "/api/reports", host | bearer)[1]:
        fail(f"the page does not list {sweep}")
    say("the page wants the token of its Secret, and lists the report")


def arrives(cluster: Cluster, level: int) -> None:
    """Waits until messages of this level do."""
    redis = cluster.pods[f"{RELEASE}-redis-0"]
    cluster.until(redis.ready, 60, "Redis does not become ready")
    scan = ["redis-cli", "--scan", "--pattern", f"trace:*.c{level:02}:mqttclient"]
    cluster.until(lambda: bool(cluster.podman("exec", redis.container, *scan, may_fail=True)), 90, "nothing arrives")


def check_lost_worker(podman: Podman, helm: Helm, images: Images, workers: int) -> None:
    """One is killed, and one told to end, as an eviction does: the run fails, and the others are released."""
    with Cluster(podman, helm, images.values(), [], {}) as cluster:
        for signal, level, code in (("KILL", 5, 137), ("TERM", 6, 0)):
            say(f"a worker gets SIG{signal} under load")
            load = run_of(["--levels", f"{level},9", "--duration", "6s", "--warmup", "0s"], workers)
            pods = cluster.apply(merged(load, {"run": {"id": signal.lower()}}))
            arrives(cluster, level)
            victim, run = (cluster.pods[f"{RELEASE}-{part}-{signal.lower()}-0"] for part in ("worker", "run"))
            podman("kill", "--signal", signal, victim.container)
            ended(cluster, [pod for pod in pods if pod is not victim], code=1)
            ended_as(victim, code)
            told = re.search(rf"error: (1 of {workers} workers lost at .*)", run.logs()) or fail(f"the run does not tell of the loss:\n{run.logs()}")
            levels = len(cluster.report().read_text().splitlines()) - 1
            if levels != 1:
                fail(f"the run has made {levels} levels, and the worker was lost in the first")
            say(told[1])
        say("the run has ended with 1 each time, the other workers with 0")


def check_loss(podman: Podman, helm: Helm, images: Images, workers: int) -> None:
    """A push server is killed under load, and nothing is lost."""
    lossless = {
        "mqtt": {"version": "5"},
        "pushserver": {"replicas": 2, "delivery": "at-least-once", "lease": "2s"},
        "mqttclient": {"replicas": 2, "share": "stampede", "session": "persistent", "arrivals": "log-store"},
    }
    with Cluster(podman, helm, images.values(), [], {}) as cluster:
        say("two push servers and two subscribers, at least once; one push server is killed under load")
        # Whoever is killed takes its last counts with it: the drain waits for these in vain.
        load = run_of(["--levels", "4", "--duration", "8s", "--warmup", "0s", "--drain-timeout", "10s"], workers)
        pods = cluster.apply(merged(lossless, load))
        arrives(cluster, 4)
        time.sleep(1)
        redis, victim = (cluster.pods[f"{RELEASE}-{part}-0"] for part in ("redis", "pushserver"))
        podman("kill", victim.container)
        if cluster.report().exists():
            fail("the load had ended before the push server was killed")
        say(f"killed {victim.name}")
        ended(cluster, pods)
        if podman("inspect", "--format", "{{.State.Status}}", victim.container) != "exited":
            fail(f"{victim.name} did not stay away")
        # Whoever is taken over from has a fence (docs/protocol.md).
        fences = podman("exec", redis.container, "redis-cli", "ZCOUNT", "stampede:queue:holders", "-1", "-1")
        if fences == "0":
            fail("nobody has taken over what the dead push server held")
        say(f"the other one has taken over from its {fences} workers")
        show(cluster, 1)


def check_secured(podman: Podman, helm: Helm, images: Images, workers: int) -> None:
    """TLS, users and passwords, and servers that persist."""
    made = subprocess.run([ROOT / "scripts" / "make-secrets", "--kubernetes", RELEASE], stdout=subprocess.PIPE, check=True).stdout
    secrets = {one["metadata"]["name"]: one["stringData"] for one in json.loads(made)["items"]}
    with Cluster(podman, helm, images.values(), ["--values", str(CHART / "ci" / "secure.yaml")], secrets) as cluster:
        say("the same with TLS, users, passwords and a log store of its own")
        ended(cluster, cluster.apply(run_of(["--levels", "1,4", "--duration", "2s", "--warmup", "500ms"], workers)))
        show(cluster, 2)
