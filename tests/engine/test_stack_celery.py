"""The CeleryExecutor on the real engine: KEDA's objects included, in and out, and changes in place."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.stacks import offline_stack

pytestmark = pytest.mark.engine
Tree = dict[str, Any]


def with_celery(tree: Tree, concurrency: int = 4) -> None:
    tree["cluster"]["kedaNamespace"] = "keda"
    tree["airflows"][0].update(
        executor=["CeleryExecutor", "KubernetesExecutor"],
        kubernetesPodOperator=True,
        celery={
            "broker": {"kind": "rabbitmq"},
            "flower": True,
            "queues": [
                {"name": "default", "concurrency": concurrency},
                {"name": "heavy", "autoscale": {"kind": "keda", "max": 3}},
                {"name": "short", "autoscale": {"kind": "hpa", "max": 3}},
            ],
        },
    )


def test_celery_comes_beside_what_is_there_changes_in_place_and_goes_again(tmp_path: Path) -> None:
    stack = offline_stack("local", tmp_path)
    stack.up()
    before = {name for name, ops in stack.up(with_celery).changed.items() if ops == ["create"]}
    kinds = {name.partition(" ")[0] for name in before}
    assert {"ScaledObject", "TriggerAuthentication", "HorizontalPodAutoscaler", "StatefulSet"} <= kinds
    assert stack.up(with_celery).changed == {}
    steps = stack.up(lambda tree: with_celery(tree, concurrency=2))
    assert steps.changed["StatefulSet main-worker-default"] == ["update"]
    assert "StatefulSet main-worker-heavy" not in steps.changed
    assert "StatefulSet main-rabbitmq" not in steps.changed
    gone = {name for name, ops in stack.up().changed.items() if ops == ["delete"]}
    assert gone == before
