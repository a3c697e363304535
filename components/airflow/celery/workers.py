"""Workers: a StatefulSet for each queue, which stops taking tasks when it is told to end, and ends when they have.

A worker runs the code of DAGs, so it holds the way to the broker and no other secret: no key, no way to the database.
"""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import ProbeArgsDict
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict

from components.airflow.celery.args import Queue
from components.airflow.celery.autoscaling import Autoscaling, counted_env
from components.airflow.celery.broker import Broker
from components.airflow.celery.configuration import LOG_SERVER_PORT
from components.airflow.configuration import FILES_FOLDER
from components.airflow.customisation import added, env_checksum
from components.airflow.pod_operator import launch_env
from components.airflow.pods import AIRFLOW_GID, AIRFLOW_UID, CONFIG_ENV, FILES_MOUNT, INIT, TMP, Blueprint
from components.airflow.secrets import KEYS_FOLDER, KEYS_SECRET
from components.airflow.task_logs import VolumeLogs
from components.airflow.task_pod import SERVICE_ACCOUNT
from components.priorities import BACKFILL, TASKS
from components.workload import Container, Mount, Pod, Resources, labels, metadata, pod_template, selector

QUEUE_LABEL = "airflow-platform/queue"
DRAIN_MARGIN_SECONDS = 60
"""On top of the longest task: for its log to be stored, and for the worker itself to end."""
START_SECONDS = 300
_LOG_SERVER = Resources(cpu="20m", memory="160Mi", cpu_limit="1", memory_limit="512Mi")


@dataclass(frozen=True)
class Workers:
    """Makes the workers of one Airflow in ``namespace``."""

    blueprint: Blueprint
    namespace: pulumi.Output[str]
    broker: Broker
    parent: pulumi.Resource
    depends_on: tuple[pulumi.Resource, ...]

    def make(self) -> None:
        """The Service, and for each queue its workers, their budget and who decides on their number."""
        celery = self.blueprint.args.celery
        assert celery is not None
        name = self.blueprint.name
        service = kubernetes.core.v1.Service(
            f"{name}-workers-service",
            # Workers may all be away, scaled to none: nothing to wait for.
            metadata=metadata("workers", self.namespace, annotations={"pulumi.com/skipAwait": "true"}),
            spec={
                "cluster_ip": "None",
                "selector": selector(name, "worker"),
                "ports": [{"name": "logs", "port": LOG_SERVER_PORT, "target_port": LOG_SERVER_PORT}],
            },
            opts=pulumi.ResourceOptions(parent=self.parent),
        )
        scaling = Autoscaling(name, self.namespace, celery, self.parent)
        for queue in celery.queues:
            workers = self._workers(queue, service)
            self._budget(queue)
            scaling.scale(queue, workers)

    def _workers(self, queue: Queue, service: kubernetes.core.v1.Service) -> kubernetes.apps.v1.StatefulSet:
        spec = kubernetes.apps.v1.StatefulSetSpecArgsDict(
            service_name=service.metadata.name,
            pod_management_policy="Parallel",
            revision_history_limit=3,
            selector={"match_labels": self._selector(queue)},
            template=pod_template(self.broker.client(self._pod(queue))),
        )
        if isinstance(queue.scale, int):
            spec["replicas"] = queue.scale
        # Else the number is the autoscaler's alone: one that stood here would be set again by each change of anything
        # else.
        return kubernetes.apps.v1.StatefulSet(
            f"{self.blueprint.name}-worker-{queue.name}",
            metadata=self._metadata(queue),
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self.parent, depends_on=[*self.depends_on, *self.broker.resources]),
        )

    def _metadata(self, queue: Queue) -> ObjectMetaArgsDict:
        # An `up` does not wait until the last worker has drained, which may be hours: one that is ready will do, and
        # where none need be there, none.
        wait = (
            {"pulumi.com/waitFor": "jsonpath={.status.readyReplicas}"}
            if isinstance(queue.scale, int)
            else {"pulumi.com/skipAwait": "true"}
        )
        own = {**self.blueprint.labels("worker"), QUEUE_LABEL: queue.name}
        return metadata(object_name(queue), self.namespace, own, wait)

    def _selector(self, queue: Queue) -> dict[str, str]:
        return {**selector(self.blueprint.name, "worker"), QUEUE_LABEL: queue.name}

    def _pod(self, queue: Queue) -> Pod:
        blueprint = self.blueprint
        celery = blueprint.args.celery
        assert celery is not None
        alive: ProbeArgsDict = {
            "exec_": {"command": ["python", f"{FILES_FOLDER}/worker_alive.py", queue.name]},
            "timeout_seconds": 30,
        }
        command = ["airflow", "celery", "worker", "--queues", queue.name, "--concurrency", str(queue.concurrency)]
        # Logs are served beside it. Workers need not know of one another; an idle broker's load is mostly their talk.
        command += ["--skip-serve-logs", "--without-mingle", "--without-gossip"]
        worker = Container(
            name="worker",
            image=queue.image,
            command=[*INIT, *command],
            resources=queue.resources,
            env=[
                CONFIG_ENV,
                # A signal goes to Celery alone, which waits for its tasks; by default dumb-init hands it to all
                # processes, the tasks too.
                {"name": "DUMB_INIT_SETSID", "value": "0"},
                *launch_env(blueprint.name, blueprint.args),
                *counted_env(celery, queue),
            ],
            mounts=[FILES_MOUNT, TMP, *blueprint.logs.mounts, *blueprint.dags.mounts],
            startup_probe={**alive, "period_seconds": 5, "failure_threshold": START_SECONDS // 5},
            liveness_probe={**alive, "period_seconds": 60, "failure_threshold": 5},
        )
        pod = Pod(
            labels={**labels(blueprint.name, "worker", queue.version), QUEUE_LABEL: queue.name},
            service_account=SERVICE_ACCOUNT,
            user=AIRFLOW_UID,
            group=AIRFLOW_GID,
            api_access=blueprint.args.pod_operator,
            grace_period_seconds=queue.longest_task_seconds + DRAIN_MARGIN_SECONDS,
            init_containers=[*blueprint.dags.sidecars, *self._log_server(queue)],
            nodes=queue.nodes,
            priority=None if blueprint.args.priority is None else BACKFILL if queue.lane else TASKS,
            checksums={
                "config": blueprint.config_checksum,
                **blueprint.dags.checksums,
                **env_checksum(blueprint.args.customisation, blueprint.args.checksum_key),
            },
            # The autoscaler takes no node away from under a task; upgrades wait as long as the pool says.
            annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
            containers=[worker],
        )
        return added(pod, blueprint.args.customisation.of("worker"))

    def _log_server(self, queue: Queue) -> list[Container]:
        """Serves the logs of running tasks where no volume shows them to the api-server.

        In a container of its own: it holds the key that requests for logs are signed with, and that key signs sessions
        of the UI, too. A sidecar ends after the worker, so a log can be read for as long as there is one.
        """
        args = self.blueprint.args
        if isinstance(args.task_logs, VolumeLogs):
            return []
        key = Mount(
            {
                "name": "log-key",
                "secret": {
                    "secret_name": KEYS_SECRET,
                    "default_mode": 0o440,
                    "items": [{"key": "api-secret-key", "path": "api-secret-key"}],
                },
            },
            KEYS_FOLDER,
        )
        # What is still there after that long was left by a task that had no end, or by a store that takes no files.
        kept = queue.longest_task_seconds + 86400
        return [
            Container(
                name="log-server",
                image=queue.image,
                command=[*INIT, "python", f"{FILES_FOLDER}/worker_logs.py", str(kept)],
                resources=_LOG_SERVER,
                env=[
                    CONFIG_ENV,
                    {"name": "AIRFLOW__API__SECRET_KEY_CMD", "value": f"cat {KEYS_FOLDER}/api-secret-key"},
                ],
                mounts=[FILES_MOUNT, TMP, key, *self.blueprint.logs.mounts],
                ports={"logs": LOG_SERVER_PORT},
                restart_policy="Always",
            )
        ]

    def _budget(self, queue: Queue) -> None:
        kubernetes.policy.v1.PodDisruptionBudget(
            f"{self.blueprint.name}-worker-{queue.name}-budget",
            metadata=metadata(object_name(queue), self.namespace),
            spec={"max_unavailable": 1, "selector": {"match_labels": self._selector(queue)}},
            opts=pulumi.ResourceOptions(parent=self.parent),
        )


def object_name(queue: Queue) -> str:
    """The StatefulSet of a queue, and what belongs to it."""
    return f"worker-{queue.name}"
