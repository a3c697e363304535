"""A cluster that is about to be deleted lets go of the disks and load balancers it stands for, whoever made them."""

import io
import json
from typing import Any

import pytest

from ops import letting_go
from ops.stack_file import read
from ops.target import Target
from testbed.cluster.cluster import Cluster
from testbed.progress import Failure, Progress
from tests.cluster.bed import NAME, a_claim, a_pod, a_service, ready, succeed

pytestmark = pytest.mark.cluster

CLAIMED, KEPT = "claimed", "kept"


@pytest.fixture
def on(cluster: Cluster) -> Target:
    """Not the testbed's: any cluster that a kubeconfig leads to."""
    file = read("local")
    reached = {"kind": "kubeconfig", "context": f"airflow-platform-{NAME}", "path": str(cluster.kubeconfig)}
    stack = file.with_config(file.config | {"cluster": reached})
    return Target(stack, stack.settings, None)


def names(cluster: Cluster, kind: str) -> list[str]:
    items: list[dict[str, Any]] = json.loads(succeed(cluster, "get", kind, "--all-namespaces", "-o", "json"))["items"]
    return [one["metadata"]["name"] for one in items]


def test_claims_with_their_disks_and_load_balancers_go_and_what_is_to_be_kept_is_named(
    cluster: Cluster, image: str, on: Target
) -> None:
    balanced = a_service("balanced")
    balanced["spec"]["type"] = "LoadBalancer"
    balanced["spec"]["ports"] = balanced["spec"]["ports"][:1]
    pods = [a_pod(name, image, claim=name) for name in (CLAIMED, KEPT)]
    claims = [a_claim(name) for name in (CLAIMED, KEPT)]
    succeed(cluster, "create", "namespace", "another")
    succeed(cluster, "apply", "-f-", manifest=[*claims, *pods, balanced, a_service("plain")])
    succeed(cluster, "apply", "--namespace=another", "-f-", manifest=[a_claim(CLAIMED), a_pod(CLAIMED, image, CLAIMED)])
    for pod in (CLAIMED, KEPT):
        ready(cluster, pod)
    succeed(cluster, "wait", "--namespace=another", f"pod/{CLAIMED}", "--for=condition=Ready", "--timeout=60s")
    volume = succeed(cluster, "get", "pvc", KEPT, "-o", "jsonpath={.spec.volumeName}")
    succeed(cluster, "patch", "pv", volume, "-p", '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}')

    with pytest.MonkeyPatch.context() as short:
        short.setattr(letting_go, "GONE_SECONDS", 3)
        with pytest.raises(Failure) as held:
            letting_go.let_go(on, Progress())
    assert f"claim another/{CLAIMED}" in str(held.value), "its pod holds it"
    assert "The cluster was left as it is" in str(held.value)
    assert "balanced" not in str(held.value)

    succeed(cluster, "delete", "pod", CLAIMED, KEPT, "--now")
    succeed(cluster, "delete", "namespace", "another")
    said = io.StringIO()
    letting_go.let_go(on, Progress(said))

    assert f"kept, by its reclaim policy: {volume}" in said.getvalue()
    assert names(cluster, "pvc") == []
    assert names(cluster, "pv") == [volume]
    assert "balanced" not in names(cluster, "service")
    assert "plain" in names(cluster, "service"), "it stands for nothing outside"
    succeed(cluster, "delete", "pv", volume)
