"""From settings to what looks whether the database's backups are taken."""

import pulumi

from components.airflow import DatabaseServer
from components.database_administration import NAMESPACE
from components.gcp.backup_check import ACCOUNT, BackupCheck, BackupCheckArgs
from components.gcp.identities import WorkloadIdentity, WorkloadIdentityArgs, allow_backup_list
from components.workload import Nodes
from infra.foundations import Kubernetes
from infra.google_cloud import GoogleCloud, known_after
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
    priority: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Of an instance that is made here, with its daily backups; elsewhere nobody has said that there are any."""
    if google is None or instance is None or not isinstance(settings.database, CloudSqlDatabase):
        return
    identity = WorkloadIdentity(
        "backup-check",
        WorkloadIdentityArgs(
            id_parts=(google.environment, "backup-check"),
            display_name=f"Backup check of {google.environment}",
            workload_pool=cluster.workload_pool,
            namespace=NAMESPACE,
            accounts=(ACCOUNT,),
            depends_on=cluster.ready,
        ),
        pulumi.ResourceOptions(provider=google.provider),
    )
    allowed = allow_backup_list(
        "backup-check-list",
        instance.project,
        instance.name,
        identity.member,
        pulumi.ResourceOptions(parent=identity),
    )
    BackupCheck(
        "backup-check",
        BackupCheckArgs(
            image=image,
            project=instance.project,
            instance=instance.name,
            namespace=database.namespace,
            account=known_after(identity.email, allowed),
            checksum_key=checksum_key,
            nodes=nodes,
            priority=priority,
        ),
        opts,
    )
