"""A gate before a user interface that has no sign-in of its own: oauth2-proxy, which asks an OpenID provider.

https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.availability import disruption_budget
from components.ingress.labels import INGRESS_NAMESPACE
from components.network import DNS, ClusterNetwork, policy, ports, server, to_pods
from components.versions import version_label
from components.workload import (
    Container,
    Mount,
    Nodes,
    Pod,
    Resources,
    checksum,
    labels,
    metadata,
    pod_template,
    secret_volume,
    selector,
)

PORT: Final = 4180
REPLICAS: Final = 2
_FOLDER: Final = "/run/secrets/gate"
_UID: Final = 65532  # of the image's base, gcr.io/distroless/static:nonroot
_COOKIE_BYTES: Final = 32


@dataclass(frozen=True)
class GateProvider:
    """Who says who somebody is, and who may pass: who is of ``domains`` and, where any are named, of ``groups``."""

    issuer: str
    client_id: str
    client_secret: pulumi.Output[str]
    domains: Sequence[str]
    groups: Sequence[str] = ()
    groups_claim: str = "groups"
    scopes: Sequence[str] = ("openid", "email", "profile")


@dataclass(frozen=True)
class GateArgs:
    """Arguments of ``Gate``, which stands in ``namespace`` before the pods ``behind`` on their ``port``.

    ``url`` is where people find it, without a slash at the end; ``service`` is the name that the gate finds it by.
    ``hours`` is how long somebody who has passed is not asked again; a raised ``rotation`` has everybody asked again.
    """

    image: str
    provider: GateProvider
    url: str
    namespace: pulumi.Input[str]
    service: str
    port: int
    behind: Mapping[str, str]
    checksum_key: pulumi.Output[str]
    hours: int = 8
    rotation: int = 0
    network: ClusterNetwork | None = None
    nodes: Nodes | None = None
    priority: pulumi.Input[str] | None = None


class Gate(pulumi.ComponentResource):
    """Two replicas, which keep nothing: who has passed has a cookie that says so, encrypted.

    Deliberately not trusted: what a request says of its client (``X-Forwarded-*``). Where people come back to is fixed.
    """

    service: pulumi.Output[str]
    """The name of the Service, in the same namespace."""

    def __init__(self, name: str, args: GateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:ingress:Gate", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        part = f"{args.service}-gate"
        chosen = selector(args.service, "gate", "oauth2-proxy")
        cookie = random.RandomPassword(
            f"{name}-cookie-secret",
            length=_COOKIE_BYTES,
            special=False,
            keepers={"rotation": str(args.rotation)},
            opts=child,
        ).result
        secret = kubernetes.core.v1.Secret(
            f"{name}-secret",
            metadata=metadata(part, args.namespace),
            string_data={"client-secret": args.provider.client_secret, "cookie-secret": cookie},
            opts=child,
        )
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=metadata(part, args.namespace),
            automount_service_account_token=False,
            opts=child,
        )
        allowed = _restrict(name, part, chosen, args, self)
        # It says ready only when it has read the provider's own description.
        ready: ProbeArgsDict = {"http_get": {"path": "/ready", "port": PORT}, "timeout_seconds": 5}
        alive: ProbeArgsDict = {"http_get": {"path": "/ping", "port": PORT}, "timeout_seconds": 5}
        pod = Pod(
            labels=labels(args.service, "gate", version_label(args.image), "oauth2-proxy"),
            service_account=account.metadata.name,
            user=_UID,
            group=_UID,
            spread=chosen,
            nodes=args.nodes,
            priority=args.priority,
            checksums={"secret": checksum(args.checksum_key, args.provider.client_secret, cookie)},
            containers=[
                Container(
                    name="gate",
                    image=args.image,
                    args=_arguments(args),
                    resources=Resources(cpu="10m", memory="32Mi", cpu_limit="500m", memory_limit="128Mi"),
                    mounts=[Mount(secret_volume("gate", part), _FOLDER)],
                    ports={"http": PORT},
                    startup_probe={**ready, "period_seconds": 1, "failure_threshold": 60},
                    readiness_probe={**ready, "period_seconds": 5},
                    liveness_probe={**alive, "period_seconds": 20, "failure_threshold": 3},
                    # The way in still sends requests until it has heard that this pod is going.
                    lifecycle={"pre_stop": {"sleep": {"seconds": 5}}},
                )
            ],
        )
        deployment = kubernetes.apps.v1.Deployment(
            name,
            metadata=metadata(part, args.namespace),
            spec={
                "replicas": REPLICAS,
                "revision_history_limit": 3,
                "selector": {"match_labels": chosen},
                "template": pod_template(pod),
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[secret, *allowed]),
        )
        disruption_budget(f"{name}-budget", part, args.namespace, chosen, REPLICAS, self)
        service = kubernetes.core.v1.Service(
            f"{name}-service",
            metadata=metadata(part, args.namespace),
            spec={"selector": chosen, "ports": [{"name": "http", "port": PORT, "target_port": "http"}]},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[deployment]),
        )
        self.service = service.metadata.name
        self.register_outputs({"service": self.service})


def _arguments(args: GateArgs) -> list[str]:
    asked = args.provider
    return [
        "--provider=oidc",
        f"--oidc-issuer-url={asked.issuer}",
        f"--client-id={asked.client_id}",
        f"--client-secret-file={_FOLDER}/client-secret",
        f"--scope={' '.join(asked.scopes)}",
        "--code-challenge-method=S256",
        f"--oidc-groups-claim={asked.groups_claim}",
        *(f"--email-domain={domain}" for domain in asked.domains),
        *(f"--allowed-group={group}" for group in asked.groups),
        f"--redirect-url={args.url}/oauth2/callback",
        f"--upstream=http://{args.service}:{args.port}",
        f"--http-address=0.0.0.0:{PORT}",
        # Its cookie is for this host and https alone, and browsers see to it.
        f"--cookie-name=__Host-{args.service}-gate",
        f"--cookie-secret-file={_FOLDER}/cookie-secret",
        "--cookie-secure=true",
        "--cookie-samesite=lax",
        f"--cookie-expire={args.hours}h",
        "--skip-provider-button=true",
        "--pass-basic-auth=false",
        "--pass-user-headers=false",
        # Programs are told no, and not sent to a page for people.
        "--api-route=^/api/",
        "--silence-ping-logging=true",
        # The way in logs requests, without what follows the question mark.
        "--request-logging=false",
        "--footer=-",
    ]


def _restrict(
    name: str, part: str, chosen: Mapping[str, str], args: GateArgs, parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """Lets the way in reach the gate, and the gate the provider and what is behind it; none without policies."""
    if args.network is None:
        return []
    opts = pulumi.ResourceOptions(parent=parent)
    return [
        policy(
            f"{name}-network",
            part,
            args.namespace,
            {"match_labels": dict(chosen)},
            opts,
            ingress=[
                {"from_": [{"namespace_selector": {"match_labels": INGRESS_NAMESPACE}}], "ports": ports(PORT)},
            ],
            egress=[DNS, args.network.host(*server(args.provider.issuer)), to_pods(args.behind, args.port)],
        ),
        policy(
            f"{name}-network-behind",
            f"{part}-behind",
            args.namespace,
            {"match_labels": dict(args.behind)},
            opts,
            ingress=[{"from_": [{"pod_selector": {"match_labels": dict(chosen)}}], "ports": ports(args.port)}],
        ),
    ]
