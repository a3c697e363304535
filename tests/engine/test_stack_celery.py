"""The CeleryExecutor on the real engine: KEDA's objects included, in and out, and changes in place."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.stacks import offline_stack

pytestmark = pytest.mark.engine
Tree = dict[str, Any]


def with_celery(tree: Tree, broker: str, concurrency: int = 4) -> None:
    tree["cluster"]["kedaNamespace"] = "keda"
    tree["airflows"][0].update(
        executor=["CeleryExecutor", "KubernetesExecutor"],
        kubernetesPodOperator=True,
        celery={
            "broker": {"kind": broker},
            "flower": True,
            "queues": [
                {"name": "default", "concurrency": concurrency},
                {"name": "heavy", "autoscale": {"kind": "keda", "max": 3}},
                {"name": "short", "autoscale": {"kind": "hpa", "max": 3}},
            ],
        },
    )


@pytest.mark.parametrize(("broker", "signs_in"), [("redis", {"TriggerAuthentication"}), ("rabbitmq", set[str]())])
def test_celery_comes_beside_what_is_there_changes_in_place_and_goes_again(
    broker: str, signs_in: set[str], tmp_path: Path
) -> None:
    def change(tree: Tree, concurrency: int = 4) -> None:
        with_celery(tree, broker, concurrency)

    stack = offline_stack("local", tmp_path)
    stack.up()
    before = {name for name, ops in stack.up(change).changed.items() if ops == ["create"]}
    kinds = {name.partition(" ")[0] for name in before}
    assert {"ScaledObject", "HorizontalPodAutoscaler", "StatefulSet"} | signs_in <= kinds
    assert stack.up(change).changed == {}
    steps = stack.up(lambda tree: change(tree, concurrency=2))
    assert steps.changed["StatefulSet main-worker-default"] == ["update"]
    assert "StatefulSet main-worker-heavy" not in steps.changed
    assert f"StatefulSet main-{broker}" not in steps.changed
    gone = {name for name, ops in stack.up().changed.items() if ops == ["delete"]}
    assert gone == before


def on_memorystore(tree: Tree) -> None:
    """Tasks wait in a Memorystore, which has an address of the network's beside those of the cluster."""
    broker = {"cidr": "10.100.0.4/32", "ports": [6378]}
    tree["airflows"][0].update(
        executor=["CeleryExecutor", "KubernetesExecutor"],
        celery={"broker": {"kind": "external", "transport": "redis"}},
        network={"componentDestinations": [broker]},
        secretsBackend={"kind": "secret-manager"},
    )
    tree["secrets"] = {"main": {"celeryBrokerUrl": "rediss://:hunter2@10.100.0.4:6378/0?ssl_cert_reqs=required"}}


def test_a_memorystore_and_secret_manager_come_beside_what_is_there_stay_and_go_again(tmp_path: Path) -> None:
    stack = offline_stack("dev", tmp_path)
    stack.up()
    came = stack.up(on_memorystore)
    assert {name.partition(" ")[0] for name in came.replaced_or_deleted} <= {"Job"}
    made = {name for name, ops in came.changed.items() if ops == ["create"]}
    assert made >= {"Secret main-broker", "StatefulSet main-worker-default", "IAMMember main-airflow-secrets"}
    assert not {name for name in made if "redis" in name}, "nothing is made of what there is already"
    assert stack.up(on_memorystore).changed == {}
    gone = {name for name, ops in stack.up().changed.items() if ops == ["delete"]}
    assert gone == made
