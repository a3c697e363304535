"""KEDA: how many tasks wait and run, for autoscalers, down to none. Only where somebody asks for it.

Its programs and what is applied to the API server are those of its Go module: the vendor's own ``config/minimal``, that
is without the webhook which looks at KEDA's objects before they are stored.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from testbed.build import run
from testbed.cluster.cluster import Cluster
from testbed.cluster.images import of_program
from testbed.cluster.programs import SOURCES, go_program
from testbed.progress import Progress
from testbed.system import go

NAMESPACE = "keda"
_MODULE = "github.com/kedacore/keda/v2"
_FOLDER = "kedacore"
_PROGRAMS = {"keda-operator": "cmd/operator", "keda-metrics-apiserver": "cmd/adapter"}
"""By the names of the Deployments and of their one container."""
_API = "apiservice/v1beta1.external.metrics.k8s.io"
_USER = 1000  # of the vendor's images
_SECONDS = 300


def install(cluster: Cluster, progress: Progress) -> None:
    """Have KEDA run in ``cluster``, in the namespace ``keda``; returns when autoscalers can ask it.

    Costs two pods of 60 MiB each, and a build of 20 minutes once. Nothing is done where it runs already.
    """
    images = {}
    for name, package in _PROGRAMS.items():
        program = go_program(
            name,
            progress,
            title=f"building {name} (with KEDA's other program about 20 minutes)",
            package=f"{_MODULE}/{package}",
            module=_FOLDER,
        )
        images[name], archive = of_program(name, program, progress)
        cluster.load_image(archive, name)
    kubectl = _kubectl(cluster)
    file = _file(cluster)
    rendered = run([*kubectl, "kustomize", _sources(progress) / "config" / "minimal"])
    file.write_text(yaml.safe_dump_all(_adapted(one, images) for one in yaml.safe_load_all(rendered)))
    run([*kubectl, "apply", "--server-side", "--force-conflicts", f"--filename={file}"])
    with progress.step("waiting for KEDA"):
        limit = f"--timeout={_SECONDS}s"
        for name in _PROGRAMS:
            run([*kubectl, f"--namespace={NAMESPACE}", "rollout", "status", f"deployment/{name}", limit], progress)
        run([*kubectl, "wait", "--for=condition=Available", _API, limit], progress)


def remove(cluster: Cluster) -> None:
    """Take KEDA and its kinds of objects out of ``cluster``. Objects of these kinds have to be gone before."""
    file = _file(cluster)
    if file.exists():
        run([*_kubectl(cluster), "delete", "--ignore-not-found", f"--filename={file}", f"--timeout={_SECONDS}s"])
        file.unlink()


def _file(cluster: Cluster) -> Path:
    return cluster.state / "keda.yaml"


def _kubectl(cluster: Cluster) -> list[str | Path]:
    # Not in the person's home, where kubectl keeps what it learns by default.
    cache = cluster.state / "kubectl-cache"
    return [cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}", f"--cache-dir={cache}"]


def _sources(progress: Progress) -> Path:
    said = run([go(progress), "mod", "download", "-json", _MODULE], cwd=SOURCES / _FOLDER)
    return Path(json.loads(said)["Dir"])


def _adapted(manifest: dict[str, Any], images: Mapping[str, str]) -> dict[str, Any]:
    """``manifest`` with our images, which say neither their user nor where the program is."""
    name = manifest["metadata"]["name"]
    if manifest["kind"] == "Deployment":
        pod = manifest["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        container |= {"image": images[name], "imagePullPolicy": "IfNotPresent", "command": [f"/{name}"]}
        pod["securityContext"] |= {"runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER}
        if name == "keda-operator":
            container["args"].append("--enable-webhook-patching=false")
    return manifest
