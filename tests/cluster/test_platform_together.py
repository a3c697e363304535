"""What an Airflow can have at once, in one `up`: two executors, queues, two api-servers, PgBouncer, contents.

Each by itself, with the faults that it survives, is tested by `make test-long`.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.looks import pods_of, run_in, wait_until
from tests.cluster.platform import Platform

pytestmark = pytest.mark.cluster
WORKER = {
    "replicas": 1,
    "concurrency": 2,
    "resources": {"cpu": "50m", "memory": "256Mi", "cpuLimit": "2", "memoryLimit": "1Gi"},
}


def everything(config: dict[str, Any]) -> None:
    config["airflows"][0] |= {
        "executor": ["CeleryExecutor", "KubernetesExecutor"],
        "celery": {
            "broker": {"kind": "redis", "memory": "128Mi"},
            "longestTaskSeconds": 60,
            "queues": [{"name": "default", **WORKER}, {"name": "heavy", **WORKER}],
        },
        "replicas": {"apiServer": 2},
        "pooler": {"enabled": True},
        "connections": {"warehouse": {"type": "postgres", "host": "db.example.com", "extra": {"sslmode": "require"}}},
        "variables": {"region": "europe-west1"},
        "pools": {"reports": {"slots": 3}},
        "extra": {"worker": {"env": {"REGION": "eu"}}},
    }
    given = {"warehouse": {"login": "reader", "password": "a password"}}
    config.setdefault("secrets", {}).setdefault("main", {})["connections"] = given


@pytest.fixture(scope="module")
def together(platform: Platform) -> Iterator[Platform]:
    with platform.changed(everything):
        platform.up()
        yield platform


def test_runs_succeed_in_both_queues_and_in_a_pod_and_read_what_the_stack_file_says(together: Platform) -> None:
    with together.airflow() as api:
        runs = {}
        for dag in ("two_queues", "reads_contents"):
            api.wait_for_dag(dag)
            runs[dag] = api.trigger(dag)
        for dag, run_id in runs.items():
            assert api.wait_for_run(dag, run_id)["state"] == "success"
            assert {task["try_number"] for task in api.tasks(dag, run_id)} == {1}
        tasks = {task["task_id"]: task for task in api.tasks("two_queues", runs["two_queues"])}
        assert (tasks["heavy"]["queue"], tasks["in_a_pod"]["executor"]) == ("heavy", "KubernetesExecutor")
        (reads,) = api.tasks("reads_contents", runs["reads_contents"])
        log = "\n".join(api.log("reads_contents", runs["reads_contents"], reads))
    assert "reader at db.example.com, require" in log
    assert "region europe-west1" in log


def test_there_are_two_api_servers_a_pgbouncer_and_workers_with_what_was_added_by_hand(together: Platform) -> None:
    for part, count in (("api-server", 2), ("pgbouncer", 1), ("worker", 2), ("redis", 1)):
        wait_until(lambda part=part, count=count: len(pods_of(together, part)) == count, 120, f"{count} of {part}")
    assert run_in(together, "statefulset/worker-default", ["printenv", "REGION"]).strip() == "eu"
    variables = run_in(together, "statefulset/worker-default", ["env"])
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in variables
    assert "FERNET" not in variables
