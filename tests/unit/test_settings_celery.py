"""Executors and queues that do not fit together are refused with the mend, before anything is created."""

from collections.abc import Callable

import pytest

from infra.settings import Executor
from tests.unit.stack_files import Tree, changed, settings, stack_config
from tests.unit.test_settings import first, problems


def celery(**more: object) -> Callable[[Tree], object]:
    """A change to the local stack: the CeleryExecutor with these settings."""
    return lambda tree: first(tree).update(executor="CeleryExecutor", celery=more)


def queue(**more: object) -> Callable[[Tree], object]:
    return celery(queues=[{"name": "default", **more}])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("KubernetesExecutor", (Executor.KUBERNETES,)),
        (["CeleryExecutor", "KubernetesExecutor"], (Executor.CELERY, Executor.KUBERNETES)),
    ],
)
def test_an_executor_is_a_name_or_a_list_of_names_the_default_first(
    given: object, expected: tuple[Executor, ...]
) -> None:
    read = settings(changed(stack_config("local"), lambda t: first(t).update(executor=given)))
    assert read.airflows[0].executor == expected


@pytest.mark.parametrize(
    "change",
    [
        celery(),
        celery(broker={"kind": "rabbitmq"}, flower=True),
        celery(
            queues=[{"name": "default"}, {"name": "heavy", "concurrency": 1, "autoscale": {"kind": "hpa", "max": 9}}]
        ),
    ],
)
def test_what_fits_together_is_accepted(change: Callable[[Tree], object]) -> None:
    read = settings(changed(stack_config("local"), change))
    assert read.airflows[0].celery is not None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: first(t).update(executor=[]), "airflows.main.executor: [] must be 'KubernetesExecutor'"),
        (
            lambda t: first(t).update(executor=["LocalExecutor", "LocalExecutor"]),
            "names an executor twice. Name each once",
        ),
        (
            lambda t: first(t).update(celery={}),
            "airflows.main.celery: nothing reads it without the CeleryExecutor. Remove it, or add that to",
        ),
        (
            lambda t: first(t).update(rotations={"brokerPassword": 1}),
            "airflows.main.rotations.brokerPassword: there is no such password without the CeleryExecutor",
        ),
        (
            lambda t: t.update(secrets={"main": {"celeryBrokerUrl": "redis://h"}}),
            "secrets.main.celeryBrokerUrl: nothing reads it without the CeleryExecutor",
        ),
        (
            lambda t: (celery()(t), t.update(secrets={"main": {"celeryBrokerUrl": "redis://h"}})),
            "nothing reads it, the broker is made here. Remove it, or choose kind 'external'",
        ),
        (
            celery(broker={"kind": "external", "transport": "redis"}),
            "secrets.main.celeryBrokerUrl: is missing, and airflows.main.celery.broker is of kind 'external'. Set it",
        ),
        (celery(broker={"kind": "kafka"}), "must be one of 'redis', 'rabbitmq', 'external'"),
        (
            celery(queues=[{"name": "default"}, {"name": "default"}]),
            "airflows.main.celery.queues: the name 'default' is used 2 times",
        ),
        (celery(queues=[{"name": "heavy"}]), "none is called 'default', and tasks that name no queue go there"),
        (
            queue(replicas=2, autoscale={"kind": "hpa", "max": 3}),
            "airflows.main.celery.queues.default.replicas: autoscale decides on that",
        ),
        (queue(autoscale={"kind": "hpa", "min": 4, "max": 3}), "autoscale.min: 4 is more than max, 3"),
        (queue(autoscale={"kind": "hpa", "min": 0, "max": 3}), "autoscale.min: 0 must be greater than or equal to 1"),
        (queue(autoscale={"kind": "keda", "max": 3}), "needs KEDA in the cluster. Install it"),
        (queue(taskPool="gpu"), "queues.default.taskPool: there is no pool 'gpu'. This cluster has none: leave it out"),
        (queue(concurrency=0), "airflows.main.celery.queues.default.concurrency: 0 must be greater than or equal to 1"),
        (
            queue(resources={"cpu": "1", "memory": "1G", "cpuLimit": "1", "memoryLimit": "1Gi"}),
            "queues.default.resources.memory",
        ),
    ],
)
def test_a_mistake_is_named_by_its_key_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    assert expected in problems(change)


@pytest.mark.parametrize("url", ["hunter2", "amqp://u:hunter2@h", "redis://:hunter2@", "redis://[hunter2"])
def test_a_brokers_wrong_url_is_refused_without_being_shown(url: str) -> None:
    def change(tree: Tree) -> None:
        celery(broker={"kind": "external", "transport": "redis"})(tree)
        tree["secrets"] = {"main": {"celeryBrokerUrl": url}}

    said = problems(change)
    assert "secrets.main.celeryBrokerUrl: does not have the form of the transport 'redis'" in said
    assert "hunter2" not in said


def test_keda_is_refused_with_a_redis_that_it_knows_only_by_a_url() -> None:
    def change(tree: Tree) -> None:
        first(tree).update(
            executor="CeleryExecutor",
            celery={
                "broker": {"kind": "external", "transport": "redis"},
                "queues": [{"name": "default", "autoscale": {"kind": "keda", "max": 3}}],
            },
        )
        tree["cluster"]["kedaNamespace"] = "keda"
        tree["secrets"] = {"main": {"celeryBrokerUrl": "redis://h"}}

    assert "KEDA takes no URL of a Redis" in problems(change)
