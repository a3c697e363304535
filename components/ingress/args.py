"""What the way in is made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi

from components.network import ClusterNetwork
from components.workload import Nodes


class Exposure(StrEnum):
    """How people reach the controller."""

    PUBLIC = "public"
    """A load balancer of Google Cloud with a public address."""
    INTERNAL = "internal"
    """One with an address of the VPC."""
    NODE_PORT = "node-port"
    """A port of every node."""


@dataclass(frozen=True)
class SelfSigned:
    """A certificate from an authority of the environment's own, for ``hosts``; it holds ``days``."""

    hosts: Sequence[str]
    days: int = 365


@dataclass(frozen=True)
class Given:
    """A certificate of one's own, both in PEM. ``key`` is a secret Output."""

    certificate: str
    key: pulumi.Output[str]


@dataclass(frozen=True)
class ExistingSecret:
    """A Secret of type kubernetes.io/tls in the controller's namespace, kept by something else."""

    name: str


@dataclass(frozen=True)
class Issuer:
    """A ClusterIssuer or an Issuer, which is there already."""

    name: str
    kind: str = "ClusterIssuer"


@dataclass(frozen=True)
class AcmeIssuer:
    """One to make: an account for ``email`` at ``server``, and records in a Cloud DNS ``zone`` of ``project``.

    ``rights`` are cert-manager's to write there.
    """

    email: str
    server: str
    zone: str
    project: str
    rights: Sequence[pulumi.Resource] = ()


@dataclass(frozen=True)
class Issued:
    """A certificate for ``hosts`` that cert-manager gets from ``issuer`` and renews."""

    hosts: Sequence[str]
    issuer: Issuer | AcmeIssuer


@dataclass(frozen=True)
class Synced:
    """A certificate in Secret Manager: the full names of its secrets (``projects/<project>/secrets/<name>``).

    ``rights`` are those of the service account ``SYNC_ACCOUNT`` to read them.
    """

    certificate: str
    key: str
    rights: Sequence[pulumi.Resource] = ()


Tls = SelfSigned | Given | ExistingSecret | Issued | Synced


@dataclass(frozen=True)
class IngressArgs:
    """Arguments of ``IngressController``. Ports are both the controller's and those that people use.

    ``address`` is the load balancer's reserved one, and what every Ingress then has in its status; None has the load
    balancer's own there. ``read_seconds`` is how long an answer may say nothing, ``hsts_seconds`` 0 leaves HSTS out.
    """

    # required
    image: str
    tls: Tls
    checksum_key: pulumi.Output[str]

    # how people come
    exposure: Exposure = Exposure.PUBLIC
    address: pulumi.Input[str] | None = None
    source_ranges: Sequence[str] = ()
    port: int = 443
    http_port: int = 80

    # capacity
    replicas: int = 2
    most_replicas: int | None = None
    """More of them where their CPUs are busy. None: no more."""

    # what it allows
    hsts_seconds: int = 365 * 24 * 3600
    request_mib: int = 16
    read_seconds: int = 300

    # place
    nodes: Nodes | None = None
    priority: pulumi.Input[str] | None = None
    network: ClusterNetwork | None = None
    """None: no network policies."""

    # safety
    protect: bool = True
    """Keeps the namespace, and with it the load balancer and a Secret that something else keeps, from deletion."""

    @property
    def drain_seconds(self) -> int:
        """How long a pod that is going still takes connections.

        Google's load balancers need three failed checks, 8 s apart, to leave a node alone
        (https://cloud.google.com/kubernetes-engine/docs/concepts/service-load-balancer#health-checks).
        """
        return 5 if self.exposure is Exposure.NODE_PORT else 30
