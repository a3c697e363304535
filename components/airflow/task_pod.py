"""The pod that the KubernetesExecutor starts for each task.

A task holds no secret and has no way to the metadata database: it talks to the api-server's Execution API with a token
that the scheduler gives it, valid for that task alone. Where DAGs come from a private repository, the container that
gets them sees the login for it, and has ended before the task's own container starts, which does not see it.
"""

from components.airflow.args import AirflowArgs
from components.airflow.backfill import LANE_LABELS, TEMPLATE_PREFIX
from components.airflow.configuration import to_yaml
from components.airflow.customisation import added
from components.airflow.dags import DagParts
from components.airflow.pod_operator import launch_env
from components.airflow.pods import AIRFLOW_GID, AIRFLOW_UID, CONFIG_ENV, FILES_MOUNT, INIT, TMP
from components.airflow.task_logs import LogStoreParts
from components.airflow.task_shapes import DEFAULT, BackfillLane, TaskShape
from components.priorities import BACKFILL, TASKS
from components.workload import Container, Pod, labels, manifest, pod_spec

SERVICE_ACCOUNT = "task"


def pod_templates(name: str, args: AirflowArgs, dags: DagParts, logs: LogStoreParts) -> dict[str, str]:
    """The pod template files of the Airflow ``name``: the default, one a shape, and where backfills have a lane of
    their own, each once more for it. Airflow adds the task's name, labels and command to them."""
    shapes = {"pod-template.yaml": DEFAULT, **{f"shape-{shape}.yaml": args.shapes[shape] for shape in args.shapes}}
    files = {file: _pod_template(name, args, dags, logs, shape) for file, shape in shapes.items()}
    if args.backfill:
        for file, shape in shapes.items():
            files[f"{TEMPLATE_PREFIX}{file}"] = _pod_template(name, args, dags, logs, shape, args.backfill)
    return files


def _pod_template(
    name: str,
    args: AirflowArgs,
    dags: DagParts,
    logs: LogStoreParts,
    shape: TaskShape,
    lane: BackfillLane | None = None,
) -> str:
    pod = Pod(
        labels={**labels(name, "task", args.image.version), **(LANE_LABELS if lane else {})},
        service_account=SERVICE_ACCOUNT,
        user=AIRFLOW_UID,
        group=AIRFLOW_GID,
        # A task is tried again by the scheduler, which knows about retries; the kubelet does not.
        restart_policy="Never",
        # Time for a task's on_kill and for its log to be written.
        grace_period_seconds=60,
        # Nodes that a shape names are those that are large enough for it.
        nodes=shape.nodes or (lane.nodes if lane else None) or args.task_nodes,
        priority=None if args.priority is None else BACKFILL if lane else TASKS,
        api_access=args.pod_operator,
        init_containers=dags.before_task,
        # The autoscaler takes no node away from under a task; upgrades wait as long as the pool says.
        annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        containers=[
            Container(
                name="base",  # Airflow looks for this name
                image=shape.image or args.image.reference,
                command=INIT,
                resources=shape.resources(args.sizing.task),
                env=[CONFIG_ENV, *launch_env(name, args)],
                mounts=[FILES_MOUNT, TMP, *logs.mounts, *dags.mounts],
            )
        ],
    )
    pod = added(pod, args.customisation.of("task"))
    return to_yaml(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "task", "labels": pod.labels, "annotations": dict(pod.annotations)},
            "spec": manifest(pod_spec(pod)),
        }
    )
