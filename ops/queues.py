"""Tasks that wait in a queue which no worker serves: Celery takes them, and nobody ever runs them."""

from collections import Counter
from typing import Any

from infra.settings import AirflowSettings, Executor
from infra.settings.celery import CelerySettings

MOST = 1000
"""Queued tasks that are looked at."""


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
