"""Looks several times a day whether Cloud SQL has taken its daily backup. Google takes it, and tells only who looks.

A CronJob, so that `make status` and the alerts see it as they see all others. A new instance has its first backup
within a day: until then the check says that there is none.
"""

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes

from components.workload import (
    Container,
    Mount,
    Nodes,
    Pod,
    Resources,
    checksum,
    config_volume,
    labels,
    metadata,
    pod_template,
)

ACCOUNT = "check-backups"
SCHEDULE = "17 */6 * * *"
HOURS = 30
"""A backup begins within a window of four hours once a day, and takes its time."""
_SCRIPT = Path(__file__).parent / "files/check_backups.py"
_FOLDER = "/opt/check"
_UID = 50000  # of Airflow's image


@dataclass(frozen=True)
class BackupCheckArgs:
    """``image`` has Python; ``account`` is the address of a Google service account that may list the backups of
    ``instance`` in ``project``. Its pods run in ``namespace``."""

    image: pulumi.Input[str]
    project: str
    instance: pulumi.Input[str]
    namespace: pulumi.Input[str]
    account: pulumi.Output[str]
    checksum_key: pulumi.Output[str]
    nodes: Nodes | None = None
    priority: pulumi.Input[str] | None = None


class BackupCheck(pulumi.ComponentResource):
    """The CronJob ``check-backups``."""

    def __init__(self, name: str, args: BackupCheckArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:gcp:BackupCheck", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        script = _SCRIPT.read_text(encoding="utf-8")
        config = kubernetes.core.v1.ConfigMap(
            f"{name}-script", metadata=metadata(ACCOUNT, args.namespace), data={_SCRIPT.name: script}, opts=child
        )
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-account",
            metadata={
                **metadata(ACCOUNT, args.namespace),
                "annotations": {"iam.gke.io/gcp-service-account": args.account},
            },
            automount_service_account_token=False,
            opts=child,
        )
        pod = Pod(
            labels=labels("database", ACCOUNT, "1", "database"),
            service_account=account.metadata.name,
            user=_UID,
            group=0,
            restart_policy="Never",
            nodes=args.nodes,
            priority=args.priority,
            checksums={"script": checksum(args.checksum_key, script)},
            containers=[
                Container(
                    name=ACCOUNT,
                    image=args.image,
                    command=["python", f"{_FOLDER}/{_SCRIPT.name}", args.project, args.instance, str(HOURS)],
                    resources=Resources(cpu="10m", memory="64Mi", cpu_limit="500m", memory_limit="128Mi"),
                    mounts=[Mount(config_volume("script", ACCOUNT), _FOLDER)],
                )
            ],
        )
        kubernetes.batch.v1.CronJob(
            f"{name}-cron",
            metadata=metadata(ACCOUNT, args.namespace, pod.labels),
            spec={
                "schedule": SCHEDULE,
                "time_zone": "UTC",
                "concurrency_policy": "Forbid",
                "starting_deadline_seconds": 1800,
                "successful_jobs_history_limit": 1,
                "failed_jobs_history_limit": 1,
                "job_template": {
                    "metadata": {"labels": pod.labels},
                    # Once more, for an answer that did not come.
                    "spec": {"backoff_limit": 1, "active_deadline_seconds": 600, "template": pod_template(pod)},
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[config]),
        )
        self.register_outputs({})
