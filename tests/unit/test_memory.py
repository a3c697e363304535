"""What `make up` and `make status` say of the memory that a stack's pods take."""

from types import SimpleNamespace
from typing import Any, cast

from ops.memory import by_namespace, mebi, memory_of
from ops.target import Target


def pod(namespace: str, name: str) -> Any:
    return SimpleNamespace(metadata=SimpleNamespace(namespace=namespace, name=name))


def test_memory_is_of_the_stacks_own_pods_by_namespace_with_the_most_first() -> None:
    found = {
        ("airflow-main", "scheduler"): 300 * 2**20,
        ("airflow-main", "triggerer"): 200 * 2**20,
        ("log-store", "elasticsearch-0"): 900 * 2**20,
        ("kube-system", "coredns"): 20 * 2**20,
    }
    pods = [pod("log-store", "elasticsearch-0"), pod("airflow-main", "scheduler"), pod("airflow-main", "triggerer")]
    made = by_namespace(found, pods)
    assert [(name, mebi(size)) for name, size in made.items()] == [
        ("log-store", "900 MiB"),
        ("airflow-main", "500 MiB"),
    ]


def test_nothing_is_said_of_a_cluster_that_is_not_this_machines() -> None:
    assert memory_of(cast(Target, SimpleNamespace(testbed=None))) == {}
