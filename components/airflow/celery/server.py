"""What a broker's server has, whichever it is: a password, one pod on a volume, a Service, and who may reach it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

from components.airflow.args import AirflowArgs
from components.network import GOOGLES_COLLECTORS
from components.versions import version_label
from components.workload import (
    OWNER,
    Container,
    Pod,
    checksum,
    claim_spec,
    labels,
    metadata,
    pod_template,
    selector,
)

CLIENT_LABEL: Mapping[str, str] = {"airflow-platform/broker-client": "true"}
"""Pods of the same namespace that carry it may reach the broker; all others are refused by a network policy."""
DATA = "data"
"""The claim's name."""


@dataclass(frozen=True)
class Address:
    """Where the server is, inside the cluster; ``host`` is known when it accepts connections."""

    host: pulumi.Output[str]
    port: int
    password: pulumi.Output[str]
    resources: tuple[pulumi.Resource, ...]


@dataclass(frozen=True)
class Server:
    """A server called ``kind`` (``redis``): the name of its objects, its image's software and its port."""

    kind: str
    image: str
    port: int
    user: int
    size: str
    storage_class: str | None
    grace_period_seconds: int
    files: Callable[[str], dict[str, str]]
    """What its Secret holds, made from the password."""
    container: Container
    beside: Sequence[Container] = ()
    """What shows its metrics, on the port ``metrics``."""
    counted_port: int | None = None
    """Where the pods of other namespaces count messages. None: where everybody else connects to."""

    def make(
        self,
        name: str,
        args: AirflowArgs,
        namespace: pulumi.Output[str],
        operators: Sequence[str],
        parent: pulumi.Resource,
    ) -> Address:
        """Makes it for the Airflow ``name``; ``operators`` are other namespaces whose pods may reach it."""
        child = pulumi.ResourceOptions(parent=parent)
        password = random.RandomPassword(
            f"{name}-{self.kind}-password",
            length=32,
            special=False,
            keepers={"rotation": str(args.rotations.broker_password)},
            opts=child,
        ).result
        files = password.apply(self.files)
        secret = kubernetes.core.v1.Secret(
            f"{name}-{self.kind}-files", metadata=metadata(self.kind, namespace), string_data=files, opts=child
        )
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-{self.kind}-service-account",
            metadata=metadata(self.kind, namespace),
            automount_service_account_token=False,
            opts=child,
        )
        chosen = selector(name, self.kind, self.kind)
        service = kubernetes.core.v1.Service(
            f"{name}-{self.kind}-service",
            # Pulumi would wait for a ready pod before the StatefulSet, whose pods those are, is even made.
            metadata=metadata(self.kind, namespace, annotations={"pulumi.com/skipAwait": "true"}),
            spec={
                "selector": chosen,
                "ports": [{"name": self.kind, "port": self.port, "target_port": self.kind}, *self._counted(operators)],
            },
            opts=child,
        )
        self._restrict_access(name, namespace, operators, child)
        pod = Pod(
            labels=labels(name, self.kind, version_label(self.image), self.kind),
            service_account=account.metadata.name,
            user=self.user,
            group=self.user,
            grace_period_seconds=self.grace_period_seconds,
            nodes=args.nodes,
            priority=args.priority,
            checksums={"files": checksum(args.checksum_key, files.apply(json.dumps))},
            containers=[self.container, *self.beside],
        )
        server = kubernetes.apps.v1.StatefulSet(
            f"{name}-{self.kind}",
            metadata=metadata(self.kind, namespace),
            spec={
                "service_name": self.kind,
                "replicas": 0 if args.retired else 1,
                "selector": {"match_labels": chosen},
                "template": pod_template(pod),
                "volume_claim_templates": [
                    {
                        "metadata": {"name": DATA, "labels": dict(OWNER)},
                        "spec": claim_spec(self.size, "ReadWriteOnce", self.storage_class),
                    }
                ],
            },
            opts=pulumi.ResourceOptions(parent=parent, protect=args.protected, depends_on=[secret, service]),
        )
        host = pulumi.Output.all(namespace, server.id).apply(lambda known: f"{self.kind}.{known[0]}.svc.cluster.local")
        return Address(host, self.port, password, (secret, service, server))

    def _restrict_access(
        self, name: str, namespace: pulumi.Output[str], operators: Sequence[str], child: pulumi.ResourceOptions
    ) -> None:
        counting: list[kubernetes.networking.v1.NetworkPolicyPeerArgsDict] = [
            {"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": operator}}}
            for operator in operators
        ]
        kubernetes.networking.v1.NetworkPolicy(
            f"{name}-{self.kind}-access",
            metadata=metadata(self.kind, namespace),
            spec={
                "pod_selector": {"match_labels": selector(name, self.kind, self.kind)},
                "policy_types": ["Ingress"],
                "ingress": [
                    {
                        "from_": [
                            {"pod_selector": {"match_labels": dict(CLIENT_LABEL)}},
                            *(counting if self.counted_port is None else []),
                        ],
                        "ports": [{"protocol": "TCP", "port": self.port}],
                    },
                    *(
                        {"from_": counting, "ports": [{"protocol": "TCP", "port": port["port"]}]}
                        for port in self._counted(operators)
                    ),
                    *(
                        {
                            "from_": [{"namespace_selector": {"match_labels": dict(OWNER)}}, GOOGLES_COLLECTORS],
                            "ports": [{"protocol": "TCP", "port": container.ports["metrics"]}],
                        }
                        for container in (self.container, *self.beside)
                        if "metrics" in container.ports
                    ),
                ],
            },
            opts=child,
        )

    def _counted(self, operators: Sequence[str]) -> list[kubernetes.core.v1.ServicePortArgsDict]:
        """The port for those who count, where there are any and it is another one."""
        if self.counted_port is None or not operators:
            return []
        return [{"name": "counts", "port": self.counted_port, "target_port": self.counted_port}]
