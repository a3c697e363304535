"""What a cluster must let go of before it is deleted itself: load balancers and disks that its controllers made.

They are in no state: only the cluster's own controllers delete them, when a Service or a claim goes. Of a cluster that
is gone they stay, and cost (https://cloud.google.com/kubernetes-engine/docs/how-to/deleting-a-cluster).
"""

import time
from collections.abc import Callable
from typing import Any

from kubernetes import client
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from ops.cluster_view import TIMEOUT_SECONDS, client_of
from ops.target import Target
from testbed.progress import Failure, Progress

NOT_FOUND = 404
GONE_SECONDS = 600
"""A disk of Compute Engine goes within a minute, a load balancer within five."""
POLL_SECONDS = 2.0


def let_go(on: Target, progress: Progress) -> None:
    """Delete every Service of type LoadBalancer and every claim in the cluster of ``on``, whoever made them, and wait
    until what they stood for is gone.

    Raises Failure where the cluster can't be reached, and where something stays. A volume whose reclaim policy is
    Retain stays on purpose, and is named.
    """
    try:
        _empty(client.CoreV1Api(client_of(on)), progress)
    except (ConfigException, OSError, HTTPError) as error:
        raise Failure(f"no way to the cluster of {on.name}: {error}\n{_by_hand(on)}") from None
    except client.ApiException as error:
        raise Failure(f"the cluster of {on.name} refused: {error.status} {error.reason}\n{_by_hand(on)}") from None


def _by_hand(on: Target) -> str:
    return (
        f"Mend: `make kubeconfig STACK={on.name}`, and run the command again. If the cluster is gone already, delete "
        "the disks and load balancers that it left in Google's console, then run `pulumi destroy`."
    )


def _empty(core: client.CoreV1Api, progress: Progress) -> None:
    for service in _balanced(core):
        _gone_or(core.delete_namespaced_service, service)
    for claim in _claims(core):
        _gone_or(core.delete_namespaced_persistent_volume_claim, claim)
    deadline = time.monotonic() + GONE_SECONDS
    while left := _left(core):
        progress.note(f"waiting for {left[0]} to be gone, {len(left)} in all")
        if time.monotonic() > deadline:
            raise Failure(
                f"still there after {GONE_SECONDS} s: {', '.join(left)}. The cluster was left as it is: of a cluster "
                "that is gone they would stay, and cost.\nMend: see what holds them (`kubectl describe`; a pod holds "
                "the claims that it uses), and run the command again."
            )
        time.sleep(POLL_SECONDS)
    for volume in _volumes(core):
        disk = volume.spec.csi.volume_handle if volume.spec.csi else volume.metadata.name
        progress.say(f"  kept, by its reclaim policy: {disk}")


def _left(core: client.CoreV1Api) -> list[str]:
    services = [f"Service {_named(one)}" for one in _balanced(core)]
    claims = [f"claim {_named(one)}" for one in _claims(core)]
    volumes = [
        f"volume {one.metadata.name}"
        for one in _volumes(core)
        if one.spec.persistent_volume_reclaim_policy == "Delete" and one.status.phase != "Available"
    ]
    return services + claims + volumes


def _balanced(core: client.CoreV1Api) -> list[Any]:
    services: list[Any] = core.list_service_for_all_namespaces(_request_timeout=TIMEOUT_SECONDS).items
    return [one for one in services if one.spec.type == "LoadBalancer"]


def _claims(core: client.CoreV1Api) -> list[Any]:
    return list(core.list_persistent_volume_claim_for_all_namespaces(_request_timeout=TIMEOUT_SECONDS).items)


def _volumes(core: client.CoreV1Api) -> list[Any]:
    return list(core.list_persistent_volume(_request_timeout=TIMEOUT_SECONDS).items)


def _named(one: Any) -> str:
    return f"{one.metadata.namespace}/{one.metadata.name}"


def _gone_or(delete: Callable[[str, str], object], one: Any) -> None:
    try:
        delete(one.metadata.name, one.metadata.namespace)
    except client.ApiException as error:
        if error.status != NOT_FOUND:
            raise
