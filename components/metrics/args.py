"""What the metrics of an environment are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.network import ClusterNetwork
from components.workload import Nodes

NAMESPACE = "metrics"
PROMETHEUS_PORT = 9090
ALERTMANAGER_PORT = 9093
GRAFANA_PORT = 3000


@dataclass(frozen=True)
class Receiver:
    """Where alerts of one route go.

    ``settings`` is an Alertmanager's receiver with one integration in it (``slack_configs`` and the like), where every
    secret is the path of a file in ``SECRETS``. ``secret`` is that file's content; ``airflows`` and ``severities`` say
    which alerts, none named: all.
    """

    name: str
    settings: Mapping[str, Any]
    secret: pulumi.Output[str] | None = None
    airflows: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    host: str = ""
    port: int = 443
    """The server that it talks to, for the network policy."""


@dataclass(frozen=True)
class Retention:
    """How long samples are kept: at most ``days``, and at most ``size``, on a volume that is a fifth larger."""

    days: int = 15
    size_gib: int = 8
    storage_class: str | None = None

    @property
    def volume(self) -> str:
        """The claim's size. Prometheus counts neither what it is about to write nor what it is about to delete."""
        return f"{self.size_gib + max(1, -(-self.size_gib // 5))}Gi"


@dataclass(frozen=True, kw_only=True)
class WatchArgs:
    """What every way of watching needs, and all that Google's own takes (``ManagedMetrics``).

    ``namespaces`` are those with something to measure, by name. ``interval_seconds`` is how often everything is asked;
    ``series_limit`` the most series that one pod may have: one that has more is not taken at all, and an alert says so
    before. ``state_image``: kube-state-metrics, None where there is none. ``connections``: the most that each Airflow
    may hold to its database.
    """

    namespaces: Mapping[str, pulumi.Input[str]]
    state_image: str | None = None
    interval_seconds: int = 30
    series_limit: int = 20_000
    receivers: tuple[Receiver, ...] = ()
    certificate: pulumi.Output[int] | None = None
    """When the way in's certificate ends (Unix time). None: nobody knows."""
    connections: Mapping[str, int] = field(default_factory=dict)
    network: ClusterNetwork | None = None
    nodes: Nodes | None = None
    priority: pulumi.Input[str] | None = None
    protect: bool = True


@dataclass(frozen=True, kw_only=True)
class MetricsArgs(WatchArgs):
    """Arguments of ``Metrics``. ``grafana_image``: None where there is none."""

    prometheus_image: str
    alertmanager_image: str
    checksum_key: pulumi.Output[str]
    environment: str
    grafana_image: str | None = None
    grafana_url: str | None = None
    """Where people find it; None: by a tunnel."""
    retention: Retention = Retention()
