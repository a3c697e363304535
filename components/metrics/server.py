"""What the programs of the metrics share: one pod each that says over HTTP whether it works, and its files.

One pod, because each can be away for the seconds of a roll: Prometheus has a gap in its pictures then, Alertmanager
sends what it sends a little later, and Grafana is empty for a moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import EnvVarArgsDict, ProbeArgsDict

from components.metrics.args import NAMESPACE, WatchArgs
from components.versions import version_label
from components.workload import (
    OWNER,
    Container,
    Mount,
    Pod,
    Resources,
    claim_spec,
    labels,
    metadata,
    pod_template,
    selector,
)

DATA = "data"
"""The volume that a server with ``volume`` has: its mount is ``kept(path)``."""


@dataclass(frozen=True)
class Server:
    """One program. ``part`` is the component that selectors and policies know it by.

    ``ports`` are the container's, by name; ``ready`` and ``healthy`` are the path and the port that say so.
    ``starts_within``: seconds, after which one that isn't ready is started anew. ``volume``: the size of what it keeps;
    None: nothing, then it is a Deployment.
    """

    part: str
    image: str
    user: int
    resources: Resources
    ports: Mapping[str, int]
    ready: tuple[str, int]
    healthy: tuple[str, int]
    starts_within: int
    name: str = ""
    """Of the object and the container, where it isn't ``part``."""
    args: Sequence[str] = ()
    env: Sequence[EnvVarArgsDict] = ()
    mounts: Sequence[Mount] = ()
    checksums: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    api_access: bool = False
    grace_period_seconds: int = 30
    volume: str | None = None
    storage_class: str | None = None

    @property
    def selector(self) -> dict[str, str]:
        """The labels of its pods that never change."""
        return selector(NAMESPACE, self.part, NAMESPACE)


def kept(path: str) -> Mount:
    """Where a server sees the volume of its own."""
    return Mount({"name": DATA}, path, read_only=False, claimed=True)


def run_server(
    name: str,
    server: Server,
    args: WatchArgs,
    namespace: pulumi.Output[str],
    account: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> pulumi.Resource:
    """Makes the StatefulSet or the Deployment, with the service account of the name ``account``."""
    known = metadata(server.name or server.part, namespace)
    template = pod_template(_pod(server, args, account))
    if server.volume is None:
        return kubernetes.apps.v1.Deployment(
            f"{name}-{server.part}",
            metadata=known,
            spec={
                "replicas": 1,
                "revision_history_limit": 3,
                "selector": {"match_labels": server.selector},
                "template": template,
            },
            opts=pulumi.ResourceOptions(parent=parent, depends_on=depends_on),
        )
    claim = claim_spec(server.volume, "ReadWriteOnce", server.storage_class)
    return kubernetes.apps.v1.StatefulSet(
        f"{name}-{server.part}",
        metadata=known,
        spec={
            "service_name": server.part,
            "replicas": 1,
            "selector": {"match_labels": server.selector},
            "template": template,
            "volume_claim_templates": [{"metadata": {"name": DATA, "labels": dict(OWNER)}, "spec": claim}],
        },
        opts=pulumi.ResourceOptions(parent=parent, protect=args.protect, depends_on=depends_on),
    )


def serve(
    name: str, server: Server, namespace: pulumi.Output[str], parent: pulumi.Resource, running: pulumi.Resource
) -> kubernetes.core.v1.Service:
    """The Service before a ``running`` server, on the port that it is measured by."""
    return kubernetes.core.v1.Service(
        f"{name}-{server.part}-service",
        metadata=metadata(server.part, namespace),
        spec={
            "selector": server.selector,
            "ports": [{"name": "http", "port": server.ports["metrics"], "target_port": "metrics"}],
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[running]),
    )


def _pod(server: Server, args: WatchArgs, account: pulumi.Output[str]) -> Pod:
    ready, healthy = (_probe(*asked) for asked in (server.ready, server.healthy))
    container = Container(
        name=server.name or server.part,
        image=server.image,
        args=server.args,
        env=server.env,
        resources=server.resources,
        mounts=server.mounts,
        ports=server.ports,
        startup_probe={**ready, "period_seconds": 1, "failure_threshold": server.starts_within},
        readiness_probe={**ready, "period_seconds": 10},
        liveness_probe={**healthy, "period_seconds": 30, "failure_threshold": 5},
    )
    return Pod(
        labels=labels(NAMESPACE, server.part, version_label(server.image), NAMESPACE),
        service_account=account,
        user=server.user,
        group=server.user,
        api_access=server.api_access,
        grace_period_seconds=server.grace_period_seconds,
        nodes=args.nodes,
        priority=args.priority,
        checksums=server.checksums,
        containers=[container],
    )


def _probe(path: str, port: int) -> ProbeArgsDict:
    return {"http_get": {"path": path, "port": port}, "timeout_seconds": 5}
