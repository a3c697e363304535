"""From settings to what looks whether the database's backups are taken."""

import pulumi

from components.airflow import DatabaseServer
from components.gcp.backup_check import BackupCheck, BackupCheckArgs
from components.workload import Nodes
from infra.foundations import Kubernetes
from infra.google_cloud import GoogleCloud
from infra.instances import Instance
from infra.settings import CloudSqlDatabase, Settings


def check_backups(
    settings: Settings,
    google: GoogleCloud | None,
    instance: Instance | None,
    cluster: Kubernetes,
    database: DatabaseServer,
    image: str,
    checksum_key: pulumi.Output[str],
    nodes: Nodes | None,
    opts: pulumi.ResourceOptions,
) -> None:
    """Of an instance that is made here, with its daily backups; elsewhere nobody has said that there are any."""
    if google is None or instance is None or not isinstance(settings.database, CloudSqlDatabase):
        return
    BackupCheck(
        "backup-check",
        BackupCheckArgs(
            image=image,
            project=instance.project,
            instance=instance.name,
            namespace=database.namespace,
            account=google.backup_identity(instance, cluster.workload_pool, cluster.ready),
            checksum_key=checksum_key,
            nodes=nodes,
        ),
        opts,
    )
