"""Tasks that wait in a queue which no worker serves: Celery takes them, and nobody ever runs them."""

from collections import Counter
from typing import Any

from infra.settings import AirflowSettings, Executor
from infra.settings.celery import CelerySettings
from ops.airflow_api import AirflowApi
from ops.cluster_view import ClusterView
from ops.reach import reach
from ops.target import Target
from testbed.progress import Failure

MOST = 1000
"""Queued tasks that are looked at."""


def unserved_queues(chosen: Target, view: ClusterView) -> list[str]:
    """A line for each queue of an Airflow with the CeleryExecutor that tasks wait in and no worker serves."""
    found: list[str] = []
    for airflow in chosen.settings.airflows:
        if Executor.CELERY not in airflow.executor:
            continue
        namespace = f"airflow-{airflow.name}"
        try:
            login = view.secret(namespace, "admin")
            with reach(chosen, namespace) as url:
                api = AirflowApi(url, login["username"], login["password"])
                api.log_in()
                waiting = api.get(f"/dags/~/dagRuns/~/taskInstances?state=queued&limit={MOST}")["task_instances"]
        except (Failure, OSError) as error:
            found.append(f"{namespace}: what waits in its queues is not known: {error}")
            continue
        found += explain(airflow, waiting)
    return found


def explain(airflow: AirflowSettings, waiting: list[dict[str, Any]]) -> list[str]:
    """The lines for one Airflow, from its queued tasks as the API describes them."""
    celery = airflow.celery or CelerySettings()
    served = {queue.name for queue in celery.served}
    default = airflow.executor[0]
    counts = Counter(
        str(task["queue"])
        for task in waiting
        if (task["executor"] or default) == Executor.CELERY and task["queue"] not in served
    )
    return [
        f"airflow-{airflow.name}: {count} queued in '{queue}', which no worker serves. Mend: correct the tasks' queue, "
        f"or add '{queue}' to airflows.{airflow.name}.celery.queues"
        for queue, count in sorted(counts.items())
    ]
