"""The pod that the KubernetesExecutor starts for each task.

A task holds no secret and has no way to the metadata database: it talks to the api-server's Execution API with a token
that the scheduler gives it, valid for that task alone. Where DAGs come from a private repository, the container that
gets them sees the login for it, and has ended before the task's own container starts, which does not see it.
"""

from components.airflow.args import AirflowArgs
from components.airflow.configuration import to_yaml
from components.airflow.dags import DagParts
from components.airflow.pods import AIRFLOW_GID, AIRFLOW_UID, CONFIG_ENV, FILES_MOUNT, INIT, TMP
from components.airflow.task_logs import LogStoreParts
from components.priorities import TASKS
from components.workload import Container, Pod, labels, manifest, pod_spec

SERVICE_ACCOUNT = "task"


def pod_template_yaml(name: str, args: AirflowArgs, dags: DagParts, logs: LogStoreParts) -> str:
    """The pod template file of the Airflow ``name``. Airflow adds the task's name, labels and command to it."""
    pod = Pod(
        labels=labels(name, "task", args.image.version),
        service_account=SERVICE_ACCOUNT,
        user=AIRFLOW_UID,
        group=AIRFLOW_GID,
        # A task is tried again by the scheduler, which knows about retries; the kubelet does not.
        restart_policy="Never",
        # Time for a task's on_kill and for its log to be written.
        grace_period_seconds=60,
        nodes=args.task_nodes,
        priority=None if args.priority is None else TASKS,
        init_containers=dags.before_task,
        # The autoscaler takes no node away from under a task; upgrades wait as long as the pool says.
        annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        containers=[
            Container(
                name="base",  # Airflow looks for this name
                image=args.image.reference,
                command=INIT,
                resources=args.sizing.task,
                env=[CONFIG_ENV],
                mounts=[FILES_MOUNT, TMP, *logs.mounts, *dags.mounts],
            )
        ],
    )
    return to_yaml(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "task", "labels": pod.labels, "annotations": dict(pod.annotations)},
            "spec": manifest(pod_spec(pod)),
        }
    )
