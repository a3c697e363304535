"""Settings of what watches an environment, and of who is told what it finds."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import DnsLabel, SettingsModel
from infra.settings.notifications import Address
from infra.settings.operations import Smtp

Severity = Literal["page", "warning"]


class MailRoute(SettingsModel):
    """A mail. ``alertSecrets.<route>``: the password, where the server wants one."""

    kind: Literal["mail"]
    to: Annotated[tuple[Address, ...], Field(min_length=1, max_length=20)]
    smtp: Smtp


class SlackRoute(SettingsModel):
    """A message in Slack. ``alertSecrets.<route>``: the incoming webhook's URL."""

    kind: Literal["slack"]


class PagerdutyRoute(SettingsModel):
    """An incident. ``alertSecrets.<route>``: the integration key (Events API v2)."""

    kind: Literal["pagerduty"]


class WebhookRoute(SettingsModel):
    """A JSON document, posted. ``alertSecrets.<route>``: the bearer token, where the server wants one."""

    kind: Literal["webhook"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s?#]+$", max_length=2000)]
    """Without user, password or query: these are secrets."""


class AlertRoute(SettingsModel):
    """Who is told of what. Every route gets all that it asks for, whatever the others get."""

    name: DnsLabel
    to: Annotated[MailRoute | SlackRoute | PagerdutyRoute | WebhookRoute, Field(discriminator="kind")]
    airflows: tuple[DnsLabel, ...] = ()
    """Whose alerts. None named: all, the platform's own included."""
    severities: tuple[Severity, ...] = ()
    """None named: all."""


class _Watched(SettingsModel):
    """What both kinds have."""

    interval_seconds: Annotated[int, Field(ge=10, le=30)] = 30
    """More than 30 would make the first alert late."""
    series_limit: Annotated[int, Field(ge=1000, le=1_000_000)] = 20_000
    """Of one pod: what has more is not taken."""
    kube_state: bool = True
    """kube-state-metrics: needed by the alerts on crash loops, quotas and upkeep."""
    redis: bool = True
    """An exporter beside each Redis."""
    namespaces: tuple[DnsLabel, ...] = ()
    """Others whose pods are asked, too."""
    routes: tuple[AlertRoute, ...] = ()


class PrometheusMetrics(_Watched):
    """A Prometheus and an Alertmanager of the environment's own, in the namespace ``metrics``."""

    kind: Literal["prometheus"]
    retention_days: Annotated[int, Field(ge=1, le=400)] = 15
    retention_gib: Annotated[int, Field(ge=1, le=1000)] = 8
    """Whichever of the two is reached first. The volume is a fifth larger."""
    storage_class: str | None = None
    grafana: bool = True


class GoogleManagedMetrics(_Watched):
    """Google Managed Prometheus, on a cluster that has its collectors (``cluster.managedPrometheus``)."""

    kind: Literal["google-managed"]
    dashboards: bool = True
    """In Google's console, where ``google`` says which project."""


MetricsSettings = Annotated[PrometheusMetrics | GoogleManagedMetrics, Field(discriminator="kind")]
