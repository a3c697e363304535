"""Looking into the testbed's Kubernetes: kubectl, small pods to ask, and waiting for what is to come."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from testbed.cluster import images
from testbed.cluster.cluster import Cluster
from testbed.progress import Progress

NAME = "test-bed"


@contextmanager
def fresh_cluster(name: str, progress: Progress) -> Iterator[Cluster]:
    """One of that name with nothing in it but the tests' image; nothing of it is left afterwards."""
    cluster = Cluster(name, progress)
    try:
        cluster.down(delete=True)
        cluster.up()
        cluster.load_image(images.test_image(progress)[1])
        yield cluster
    finally:
        cluster.down(delete=True)


class Answer(NamedTuple):
    code: int
    out: str


def kubectl(cluster: Cluster, *words: str, manifest: list[dict[str, Any]] | None = None) -> Answer:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifest}) if manifest else None
    own = [f"--kubeconfig={cluster.kubeconfig}", f"--cache-dir={cluster.state}/kubectl-cache"]
    command = [str(cluster.kubectl), *own, *words]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
    return Answer(done.returncode, done.stdout + done.stderr)


def succeed(cluster: Cluster, *words: str, manifest: list[dict[str, Any]] | None = None) -> str:
    answer = kubectl(cluster, *words, manifest=manifest)
    assert answer.code == 0, f"kubectl {' '.join(words)}: {answer.out}"
    return answer.out


def probe(cluster: Cluster, pod: str, *words: str) -> Answer:
    return kubectl(cluster, "exec", pod, "--", "/probe", *words)


def until(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def a_pod(name: str, image: str, claim: str | None = None, user: int = 0) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "probe", "image": image, "args": ["listen", "tcp:8080", "udp:8080"]}
    spec: dict[str, Any] = {"containers": [container], "securityContext": {"runAsUser": user, "fsGroup": user}}
    if claim:
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def a_service(name: str) -> dict[str, Any]:
    ports = [
        {"name": protocol, "protocol": protocol.upper(), "port": 80, "targetPort": 8080} for protocol in ("tcp", "udp")
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def a_claim(name: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def ready(cluster: Cluster, pod: str) -> None:
    succeed(cluster, "wait", f"pod/{pod}", "--for=condition=Ready", "--timeout=60s")


def pids(cluster: Cluster) -> dict[str, int]:
    """Of the recorded processes, by name."""
    records = (cluster.state / "run").glob("*.json")
    return {file.stem: json.loads(file.read_text())["pid"] for file in records}


def through_its_service(cluster: Cluster, pod: str) -> bool:
    """Whether ``pod`` reaches itself at its Service, whose short name is the pod's own hostname."""
    return probe(cluster, pod, "connect", "tcp", f"{pod}.default", "80").out.startswith(pod)
