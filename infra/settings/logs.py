"""Settings of the shipper that takes containers' lines to an Elasticsearch, and of one that is made here."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import MOUNTABLE_NAME, Cpu, Quantity, SettingsModel


class _Shipped(SettingsModel):
    """fluentd on every node, whatever it fills."""

    buffer_mib: Annotated[int, Field(ge=64, le=102400)] = 1024
    """The most that waits on each node while the store is away, for task lines and for the others each."""
    components: bool = False
    """Whether what is no task's line is shipped as well. Cloud Logging has these lines on Google Cloud already."""


class GivenLogs(_Shipped):
    """An Elasticsearch that is there. What is in it is read by Airflows with ``taskLogs`` of kind ``elasticsearch``."""

    kind: Literal["given"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s/]+(/[^@\s]*)?$")]
    """Scheme, host and port."""
    user: Annotated[str, StringConstraints(min_length=1)] = "fluentd"
    """One that may append to ``logs-airflow.*`` and no more; its password is ``logsPassword``."""


class LogRetention(SettingsModel):
    """How much is kept for how long. Volumes are held to it by arithmetic (docs/logs.md)."""

    days: Annotated[int, Field(ge=1, le=400)] = 14
    """A line is kept at least this long."""
    lines_per_day: Annotated[int, Field(ge=1000, le=10_000_000_000)] = 1_000_000
    """Of all Airflows together."""
    bytes_per_line: Annotated[int, Field(ge=50, le=100_000)] = 500
    """On disk, of one copy, index included."""


class OwnLogs(_Shipped):
    """An Elasticsearch of the environment's own, in the namespace ``log-store``, and a Kibana."""

    kind: Literal["own"]
    nodes: Literal[1, 3] = 1
    """Three keep two copies of every line, and one of them may be away. One may become three, never the other way."""
    spread: Literal["zones", "anywhere"] = "zones"
    """Of three: one a zone, or wherever there is room."""
    memory: Quantity = "2Gi"
    """Of a node; half of it is Java's heap."""
    cpu: Cpu = "250m"
    cpu_limit: Cpu = "2"
    volume_gib: Annotated[int, Field(ge=1, le=64_000)] = 20
    """Of a node."""
    storage_class: Annotated[str, StringConstraints(pattern=MOUNTABLE_NAME)] | None = None
    """None takes the cluster's default class."""
    retention: LogRetention = LogRetention()
    kibana: bool = True
    snapshots: bool = True
    """Every night into a bucket, where there is Google Cloud; elsewhere there are none."""
    rotation: Annotated[int, Field(ge=0)] = 0
    """Raised by one: every password of Elasticsearch's users is made anew."""


LogsSettings = Annotated[GivenLogs | OwnLogs, Field(discriminator="kind")]
