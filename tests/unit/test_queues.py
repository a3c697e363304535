"""What `make status` says of tasks that wait in a queue which no worker serves."""

from typing import Any

from ops.queues import explain
from tests.unit.stack_files import changed, settings, stack_config


def said(waiting: list[dict[str, Any]], executor: object = "CeleryExecutor") -> list[str]:
    celery = {"queues": [{"name": "default"}, {"name": "heavy"}]}
    tree = changed(stack_config("local"), lambda t: t["airflows"][0].update(executor=executor, celery=celery))
    return explain(settings(tree).airflows[0], waiting)


def test_a_queue_without_a_worker_is_named_with_the_mend() -> None:
    waiting = [{"queue": "lost", "executor": None}] * 2 + [{"queue": "heavy", "executor": None}]
    (line,) = said(waiting)
    assert "2 queued in 'lost', which no worker serves" in line
    assert "add 'lost' to airflows.main.celery.queues" in line


def test_tasks_of_another_executor_have_no_queue() -> None:
    assert said([{"queue": "lost", "executor": "KubernetesExecutor"}], ["CeleryExecutor", "KubernetesExecutor"]) == []
    both = ["KubernetesExecutor", "CeleryExecutor"]
    assert said([{"queue": "lost", "executor": None}], both) == []
    assert len(said([{"queue": "lost", "executor": "CeleryExecutor"}], both)) == 1
