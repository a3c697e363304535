"""A Cloud SQL instance for PostgreSQL that is reached through the Auth Proxy only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pulumi
import pulumi_gcp as gcp
import pulumi_random as random

from components.gcp.network import Placement

ADMINISTRATOR: Final = "airflow-platform"
"""Makes the Airflows' roles and databases. Google makes it a member of ``cloudsqlsuperuser``, which is no superuser."""


@dataclass(frozen=True)
class CloudSqlArgs:
    """Arguments of ``CloudSql``. ``maintenance_day`` from 1 (Monday), ``maintenance_hour`` in UTC."""

    environment: str
    region: str
    placement: Placement
    version: str
    edition: str
    tier: str
    max_connections: int
    high_availability: bool
    point_in_time_recovery_days: int
    backups_kept: int
    disk_gib: int
    disk_limit_gib: int
    flags: Mapping[str, str] = field(default_factory=dict)
    maintenance_day: int = 7
    maintenance_hour: int = 3
    password_rotation: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    protect: bool = True


class CloudSql(pulumi.ComponentResource):
    """An instance with a private address, on which nothing but the Auth Proxy and Google's connectors may connect.

    Deliberately not here: the Airflows' roles and databases. What Google's API makes is a member of
    ``cloudsqlsuperuser`` and may go anywhere; each Airflow's own bootstrap Job makes a role that may not.
    """

    connection_name: pulumi.Output[str]
    """``project:region:instance``, for the Auth Proxy."""
    instance: pulumi.Output[str]
    administrator: str
    administrator_password: pulumi.Output[str]

    def __init__(self, name: str, args: CloudSqlArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:gcp:CloudSql", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # A deleted instance's name can't be used again for a week
        # (https://cloud.google.com/sql/docs/postgres/delete-instance).
        suffix = random.RandomId(f"{name}-suffix", byte_length=3, opts=child)
        instance = gcp.sql.DatabaseInstance(
            f"{name}-instance",
            name=suffix.hex.apply(lambda text: f"{args.environment}-{text}"),
            database_version=args.version,
            region=args.region,
            settings=_settings(args),
            deletion_protection=args.protect,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                depends_on=list(args.placement.private_access),
                # The disk grows by itself. Making it smaller again would replace the instance.
                ignore_changes=["settings.diskSize"],
                custom_timeouts=pulumi.CustomTimeouts(create="60m", update="60m", delete="30m"),
            ),
        )
        password = random.RandomPassword(
            f"{name}-administrator",
            length=32,
            keepers={"rotation": str(args.password_rotation)},
            opts=child,
        )
        administrator = gcp.sql.User(
            f"{name}-administrator",
            name=ADMINISTRATOR,
            instance=instance.name,
            password=password.result,
            # A role that owns something can't be dropped; with the instance it goes anyway.
            deletion_policy="ABANDON",
            opts=child,
        )
        self.instance = instance.name
        self.administrator = ADMINISTRATOR
        self.administrator_password = password.result
        # Known when the administrator can log in: whoever uses the instance needs it.
        self.connection_name = pulumi.Output.all(instance.connection_name, administrator.id).apply(
            lambda known: str(known[0])
        )
        self.register_outputs({"connectionName": self.connection_name})


def _settings(args: CloudSqlArgs) -> gcp.sql.DatabaseInstanceSettingsArgsDict:
    recovery = args.point_in_time_recovery_days > 0
    backups: gcp.sql.DatabaseInstanceSettingsBackupConfigurationArgsDict = {
        "enabled": True,
        "start_time": f"{(args.maintenance_hour + 20) % 24:02d}:00",  # four hours before the maintenance
        "point_in_time_recovery_enabled": recovery,
        "backup_retention_settings": {"retained_backups": args.backups_kept, "retention_unit": "COUNT"},
    }
    if recovery:
        backups["transaction_log_retention_days"] = args.point_in_time_recovery_days
    flags = {
        **args.flags,
        "max_connections": str(args.max_connections),
        # Whether people and programs may log in as themselves; each still needs a user of the instance.
        "cloudsql.iam_authentication": "on",
    }
    return {
        "tier": args.tier,
        # Left out, Google takes the dearer edition for version 16 and later, and refuses the other one's tiers.
        "edition": args.edition,
        "availability_type": "REGIONAL" if args.high_availability else "ZONAL",
        "user_labels": args.labels,
        "disk_type": "PD_SSD",
        "disk_size": args.disk_gib,
        "disk_autoresize": True,
        "disk_autoresize_limit": args.disk_limit_gib,
        # Google's own protection, which also holds against the console; the other one is the provider's.
        "deletion_protection_enabled": args.protect,
        "retain_backups_on_delete": args.protect,
        # Certificates and IAM at every connection: a password alone, even inside the network, opens nothing.
        "connector_enforcement": "REQUIRED",
        "ip_configuration": {
            "ipv4_enabled": False,
            "private_network": args.placement.network,
            "ssl_mode": "ENCRYPTED_ONLY",
        },
        "backup_configuration": backups,
        "maintenance_window": {
            "day": args.maintenance_day,
            "hour": args.maintenance_hour,
            # "canary" comes first, "stable" a week later.
            "update_track": "stable",
        },
        "insights_config": {
            "query_insights_enabled": True,
            "query_string_length": 1024,
            "record_application_tags": True,
            "record_client_address": False,
        },
        "database_flags": [{"name": key, "value": flags[key]} for key in sorted(flags)],
    }
