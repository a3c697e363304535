"""What is removed from an Airflow, and when: old runs, pods of tasks that have ended, old files of a log volume.

Each is a CronJob that never runs beside itself and says by its Jobs how it went; `make status` reads it.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.airflow.access import ServiceAccounts
from components.airflow.jobs import job_pod
from components.airflow.pods import AIRFLOW_GID, AIRFLOW_UID, INIT, TMP, Blueprint
from components.airflow.task_logs import LOG_FOLDER, VolumeLogs
from components.workload import Container, Mount, Pod, Resources, metadata, pod_template

NIGHT_HOUR = 3
START_SECONDS = 1800
"""A run that could not begin within this time is left out: the cluster was away, or the one before still ran."""
BATCH_ROWS = 10_000
"""`airflow db clean` deletes so many rows in one transaction: no lock lasts long."""
PENDING_MINUTES = 60
"""A task's pod that has waited so long for a place goes, too: longer than a pool of nodes takes to grow."""
_LONG_SECONDS = 6 * 3600
_SHORT_SECONDS = 900


def hourly(name: str, offset: int = 0) -> str:
    """Once an hour, ``offset`` minutes after a minute that is the Airflow's own and always the same: many Airflows on
    one server don't all begin at once."""
    return f"{(zlib.crc32(name.encode()) + offset) % 60} * * * *"


def nightly(name: str) -> str:
    """Once a night."""
    return hourly(name, 40).replace("*", str(NIGHT_HOUR), 1)


@dataclass(frozen=True)
class Cron:
    """Makes the CronJobs of one Airflow in ``namespace``, each after ``depends_on``."""

    blueprint: Blueprint
    namespace: pulumi.Output[str]
    accounts: ServiceAccounts
    parent: pulumi.Resource
    depends_on: Sequence[pulumi.Resource]

    def component(
        self,
        job: str,
        command: Sequence[str],
        schedule: str,
        mounts: Sequence[Mount] = (),
        depends_on: Sequence[pulumi.Resource] = (),
        deadline_seconds: int = _SHORT_SECONDS,
        launches_pods: bool = False,
    ) -> None:
        """Runs ``command`` of Airflow with the database; with ``launches_pods`` also with the scheduler's rights."""
        account = self.accounts.scheduler if launches_pods else self.accounts.components
        pod = job_pod(self.blueprint, job, command, account, mounts, api_access=launches_pods)
        self.make(job, pod, schedule, depends_on, deadline_seconds)

    def make(
        self,
        job: str,
        pod: Pod,
        schedule: str,
        depends_on: Sequence[pulumi.Resource] = (),
        deadline_seconds: int = _SHORT_SECONDS,
    ) -> None:
        """Runs ``pod`` by ``schedule``."""
        own_labels = self.blueprint.labels(job)
        kubernetes.batch.v1.CronJob(
            f"{self.blueprint.name}-{job}",
            metadata=metadata(job, self.namespace, own_labels),
            spec={
                "schedule": schedule,
                "time_zone": "UTC",
                "concurrency_policy": "Forbid",
                "starting_deadline_seconds": START_SECONDS,
                "successful_jobs_history_limit": 1,
                "failed_jobs_history_limit": 1,
                "job_template": {
                    "metadata": {"labels": own_labels},
                    "spec": {
                        "backoff_limit": 1,
                        "active_deadline_seconds": deadline_seconds,
                        "template": pod_template(pod),
                    },
                },
            },
            opts=pulumi.ResourceOptions(parent=self.parent, depends_on=[*self.depends_on, *depends_on]),
        )


def keep_house(cron: Cron, files: Mount, folder: str) -> None:
    """Makes the CronJobs that remove things. ``files`` are the scripts, found in ``folder``."""
    name, args = cron.blueprint.name, cron.blueprint.args
    asked = args.operation.housekeeping
    schedule = asked.schedule or nightly(name)
    if asked.keep_runs_days is not None:
        cron.component("db-clean", clean_database(asked.keep_runs_days), schedule, deadline_seconds=_LONG_SECONDS)
    if args.launches_pods:
        command = ["airflow", "kubernetes", "cleanup-pods", f"--namespace=airflow-{name}"]
        command += [f"--min-pending-minutes={PENDING_MINUTES}", "--min-completed-minutes=10"]
        cron.component("clean-task-pods", command, asked.task_pods_schedule or hourly(name, 20), launches_pods=True)
    if isinstance(args.task_logs, VolumeLogs):
        command = ["python", f"{folder}/clean_logs.py", LOG_FOLDER, str(asked.keep_logs_days)]
        cron.make("clean-logs", _log_pod(cron, command, files), schedule, deadline_seconds=_LONG_SECONDS)


def clean_database(keep_days: int) -> list[str]:
    """Removes what is older than ``keep_days``, without copying it aside first; fails if a table could not be cleaned.

    A DAG's latest scheduled run stays, so its schedule goes on where it was (airflow/utils/db_cleanup.py of 3.3.2).
    """
    before = f'"$(date --utc --date="{keep_days} days ago" +%Y-%m-%dT%H:%M:%S+00:00)"'
    clean = f"airflow db clean --clean-before-timestamp {before} --skip-archive --yes"
    return ["bash", "-c", f"exec {clean} --batch-size {BATCH_ROWS} --error-on-cleanup-failure"]


def _log_pod(cron: Cron, command: Sequence[str], files: Mount) -> Pod:
    """Has the log volume and nothing else: no secret, no way to the database."""
    blueprint = cron.blueprint
    return Pod(
        labels=blueprint.labels("clean-logs"),
        service_account=cron.accounts.components,
        user=AIRFLOW_UID,
        group=AIRFLOW_GID,
        restart_policy="Never",
        nodes=blueprint.args.nodes,
        containers=[
            Container(
                name="clean-logs",
                image=blueprint.args.image.reference,
                command=[*INIT, *command],
                resources=Resources(cpu="50m", memory="32Mi", cpu_limit="1", memory_limit="128Mi"),
                mounts=[files, TMP, *blueprint.logs.mounts],
            )
        ],
    )
