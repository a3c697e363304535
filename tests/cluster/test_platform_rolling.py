"""Nobody notices when the controller and the api-server are replaced.

With the stand-in of testbed/images what is measured is NGINX's, not the vendor's controller's.
"""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from kubernetes import client

from ops.door import Door
from tests.cluster.looks import wait_until
from tests.cluster.platform import Platform
from tests.cluster.way_in import ask, door_of

pytestmark = [pytest.mark.cluster, pytest.mark.long]

A_SECOND = 20
SECONDS = 60
"""Of requests, or more where replacing takes more."""
LONGEST = 300


def rolled(platform: Platform, namespace: str, name: str) -> None:
    """Replace every pod of a Deployment, as `kubectl rollout restart` does; until the last old one has ended, too."""
    apps, core = client.AppsV1Api(platform.api_client()), client.CoreV1Api(platform.api_client())
    stamp = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat()}
    apps.patch_namespaced_deployment(name, namespace, {"spec": {"template": {"metadata": {"annotations": stamp}}}})

    def settled() -> bool:
        found = apps.read_namespaced_deployment_status(name, namespace)
        status, wanted = found.status, found.spec.replicas
        seen = (status.observed_generation or 0) >= (found.metadata.generation or 0)
        chosen = ",".join(f"{key}={value}" for key, value in found.spec.selector.match_labels.items())
        pods = len(core.list_namespaced_pod(namespace, label_selector=chosen).items)
        return seen and pods == status.updated_replicas == status.ready_replicas == status.replicas == wanted

    wait_until(settled, LONGEST, f"{namespace}/{name} is replaced")


def constantly(door: Door, over: threading.Event) -> Counter[str]:
    """What requests got, at a steady rate, each on a connection of its own, until ``over`` or for LONGEST."""

    def one() -> str:
        try:
            return str(ask(door, "/api/v2/version").status)
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(A_SECOND * 2) as pool:
        asked = []
        began = time.monotonic()
        for number in range(LONGEST * A_SECOND):
            due = number / A_SECOND
            if over.is_set() and due >= SECONDS:
                break
            time.sleep(max(0.0, began + due - time.monotonic()))
            asked.append(pool.submit(one))
        return Counter(each.result() for each in asked)


@pytest.fixture(scope="module")
def two_of_each(platform: Platform) -> Iterator[Door]:
    """The door, with two controllers and two api-servers behind it."""

    def change(tree: dict[str, Any]) -> None:
        tree["ingress"].update(replicas=2)
        tree["airflows"][0].update(replicas={"apiServer": 2})

    try:
        with platform.changed(change):
            platform.up()
            yield door_of(platform)
    finally:
        platform.up()


@pytest.mark.parametrize(("namespace", "name"), [("ingress", "nginx-ingress"), ("airflow-main", "api-server")])
def test_no_request_fails_while_every_pod_is_replaced(
    platform: Platform, two_of_each: Door, namespace: str, name: str
) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        requests = pool.submit(constantly, two_of_each, over)
        try:
            rolled(platform, namespace, name)
        finally:
            over.set()
        took = time.monotonic() - began
        got = requests.result()
    print(f"while {name} was replaced ({took:.0f} s): {dict(got)}")
    assert set(got) == {"200"}
    assert got["200"] >= A_SECOND * SECONDS
