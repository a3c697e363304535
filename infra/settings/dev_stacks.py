"""Settings of dev stacks: Airflows of one's own, for a while, on another stack's cluster and database server."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import Cpu, DnsLabel, SettingsModel

StackName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Moment = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
PREFIX: Final = "dev-"
"""Before the name of every dev stack's Airflow: namespace, role and database show whose they are."""
LONGEST_NAME: Final = 20
NAME: Final = re.compile(rf"^[a-z]([-a-z0-9]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?$")


class StackCluster(SettingsModel):
    """The cluster of another stack. `make dev` writes this."""

    kind: Literal["stack"]
    stack: StackName
    task_pools: tuple[DnsLabel, ...] = ()
    """The pools of nodes that tasks may run on, where the base makes its cluster."""
    keda_namespace: DnsLabel | None = None
    """Where KEDA is, if it is in the cluster."""


class StackDatabase(SettingsModel):
    """A database of its own on another stack's server. `make dev` writes this."""

    kind: Literal["stack"]
    stack: StackName
    connection_name: str | None = None
    """The Cloud SQL instance, as ``project:region:instance``. None: PostgreSQL in the base's cluster."""
    max_connections: None = None
    """The base's ``devStacks.connections`` hold for all of its dev stacks together."""


class DevStacks(SettingsModel):
    """Of a base: that dev stacks may be put on it, and how much all of them may take together."""

    connections: Annotated[int, Field(ge=20, le=1000)]
    """Of the database server's, beside those of the stack's own Airflows. One of size ``small`` needs 40."""
    cpu: Cpu
    """What the components of all dev stacks may ask for. One of size ``small`` asks for 0.5."""


class DevStack(SettingsModel):
    """Of a dev stack: whose it is, what it stands on, and until when. `make dev` writes this."""

    base: StackName
    owner: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    created: Moment
    expires: Moment


def moment(text: str) -> datetime:
    """A ``Moment`` as a time."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def moment_text(at: datetime) -> str:
    """A time as a ``Moment``, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
