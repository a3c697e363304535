"""Settings of the PostgreSQL server that the Airflows' metadata databases are on."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import MOUNTABLE_NAME, Quantity, SettingsModel
from infra.settings.dev_stacks import StackDatabase


class InClusterDatabase(SettingsModel):
    """PostgreSQL as a StatefulSet of one in the same cluster: for local and throwaway environments. No backups."""

    kind: Literal["in-cluster"]
    size: Quantity = "5Gi"
    storage_class: Annotated[str, StringConstraints(pattern=MOUNTABLE_NAME)] | None = None
    """None takes the cluster's default class."""
    max_connections: Annotated[int, Field(ge=20, le=1000)] = 100
    """Shared by all Airflows of the environment."""
    administrator_password_rotation: Annotated[int, Field(ge=0)] = 0


class DatabaseMaintenance(SettingsModel):
    """When Google may restart the instance for updates."""

    day: Annotated[int, Field(ge=1, le=7)] = 7
    """1 is Monday."""
    hour: Annotated[int, Field(ge=0, le=23)] = 3
    """In UTC."""


class CloudSqlDatabase(SettingsModel):
    """A Cloud SQL instance, made here: private address only, reached through the Auth Proxy only."""

    kind: Literal["cloud-sql"]
    version: Literal["POSTGRES_15", "POSTGRES_16", "POSTGRES_17"] = "POSTGRES_17"
    edition: Literal["ENTERPRISE", "ENTERPRISE_PLUS"] = "ENTERPRISE"
    tier: Annotated[
        str, StringConstraints(pattern=r"^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+|perf-optimized-N-[0-9]+)$")
    ] = "db-custom-2-7680"
    """``db-custom-<CPUs>-<MiB>``; the ENTERPRISE_PLUS edition takes only ``db-perf-optimized-N-<CPUs>``."""
    high_availability: bool = True
    """A standby in another zone."""
    point_in_time_recovery_days: Annotated[int, Field(ge=0, le=35)] = 7
    """How far back the instance can be restored to any second. 0: only to a backup."""
    backups_kept: Annotated[int, Field(ge=1, le=365)] = 30
    """Daily backups."""
    disk_gib: Annotated[int, Field(ge=10, le=65536)] = 20
    """To begin with; it grows by itself and never shrinks."""
    disk_limit_gib: Annotated[int, Field(ge=10, le=65536)] = 500
    max_connections: Annotated[int, Field(ge=25, le=1000)] | None = None
    """Shared by all Airflows of the environment. None: what Google gives an instance of this memory."""
    flags: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.]+$")], str] = Field(default_factory=dict)
    """More of PostgreSQL's own settings (https://cloud.google.com/sql/docs/postgres/flags)."""
    maintenance: DatabaseMaintenance = DatabaseMaintenance()
    administrator_password_rotation: Annotated[int, Field(ge=0)] = 0


class ExistingDatabase(SettingsModel):
    """A Cloud SQL instance that is there already: shared, or restored."""

    kind: Literal["existing"]
    connection_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9:.-]+:[a-z0-9-]+:[a-z][a-z0-9-]*$")]
    """``project:region:instance``, as Google shows it."""
    administrator: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,62}$")] = "postgres"
    """A user that may make roles and databases. Its password is the secret ``databaseAdministratorPassword``."""
    max_connections: Annotated[int, Field(ge=25, le=10000)]
    """How many of the instance's connections are for this environment."""
    owns_access: bool = True
    """Whether this environment takes the right to connect to a database from every role that was not given it. On an
    instance that others use, too, say false where they rely on it."""


DatabaseSettings = Annotated[
    InClusterDatabase | CloudSqlDatabase | ExistingDatabase | StackDatabase, Field(discriminator="kind")
]
