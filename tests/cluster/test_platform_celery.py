"""An Airflow with Celery and Kubernetes executors at once: two queues, drains, a broker that restarts."""

from typing import Any

import pytest
from kubernetes import client

from tests.cluster.looks import wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
NAMESPACE = "airflow-celery"
SMALL = {"cpu": "50m", "memory": "256Mi", "cpuLimit": "2", "memoryLimit": "1Gi"}


@pytest.fixture(scope="module")
def celery(platform: Platform) -> Platform:
    """The platform with one more Airflow; the last test takes it away."""

    def add(config: dict[str, Any]) -> None:
        queue = {"replicas": 1, "concurrency": 2, "resources": SMALL}
        config["airflows"].append(
            {
                **config["airflows"][0],
                "name": "celery",
                "executor": ["CeleryExecutor", "KubernetesExecutor"],
                "parallelism": 8,
                "celery": {
                    "broker": {"kind": "redis", "size": "1Gi", "memory": "128Mi"},
                    "longestTaskSeconds": 600,
                    "queues": [{"name": "default", **queue}, {"name": "heavy", **queue}],
                },
            }
        )

    platform.change(add)
    platform.up()
    return platform


def pod(platform: Platform, name: str) -> Any:
    return client.CoreV1Api(platform.api_client()).read_namespaced_pod(name, NAMESPACE)


def is_new_and_ready(platform: Platform, name: str, before: str) -> bool:
    try:
        found = pod(platform, name)
    except client.ApiException:
        return False
    statuses = found.status.container_statuses or []
    return found.metadata.uid != before and bool(statuses) and all(status.ready for status in statuses)


def delete(platform: Platform, name: str) -> str:
    """Ask a pod to go as a roll or a drain would; returns which one it was."""
    uid = str(pod(platform, name).metadata.uid)
    client.CoreV1Api(platform.api_client()).delete_namespaced_pod(name, NAMESPACE)
    return uid


def by_id(tasks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {task["task_id"]: task for task in tasks}


def test_a_run_succeeds_with_tasks_in_both_queues_and_in_a_pod_of_its_own(celery: Platform) -> None:
    with celery.airflow("celery") as api:
        api.wait_for_dag("two_queues")
        run_id = api.trigger("two_queues")
        assert api.wait_for_run("two_queues", run_id)["state"] == "success"
        tasks = by_id(api.tasks("two_queues", run_id))
        assert {task["try_number"] for task in tasks.values()} == {1}
        assert tasks["heavy"]["queue"] == "heavy"
        assert tasks["in_a_pod"]["executor"] == "KubernetesExecutor"
        hosts = {name: task["hostname"] for name, task in tasks.items()}
        assert hosts["light"] == pod(celery, "worker-default-0").status.pod_ip
        assert hosts["heavy"] == pod(celery, "worker-heavy-0").status.pod_ip
        assert hosts["in_a_pod"] not in {hosts["light"], hosts["heavy"]}
        assert "light ran" in api.log("two_queues", run_id, tasks["light"])


def test_a_worker_that_goes_finishes_its_task_and_a_broker_that_restarts_loses_none(celery: Platform) -> None:
    def runs_heavy(api: Any, run_id: str) -> bool:
        return by_id(api.tasks("two_queues", run_id))["heavy"]["state"] == "running"

    with celery.airflow("celery") as api:
        first = api.trigger("two_queues", {"seconds": 40})
        wait_until(lambda: runs_heavy(api, first), 120, "the heavy task runs")
        worker = delete(celery, "worker-heavy-0")
        broker = delete(celery, "redis-0")
        second = api.trigger("two_queues", {"seconds": 1})
        for run_id in (first, second):
            assert api.wait_for_run("two_queues", run_id)["state"] == "success"
            assert {task["try_number"] for task in api.tasks("two_queues", run_id)} == {1}
        task = by_id(api.tasks("two_queues", first))["heavy"]
        assert "heavy, second 39" in api.log("two_queues", first, task)
    for name, before in (("worker-heavy-0", worker), ("redis-0", broker)):
        wait_until(lambda name=name, before=before: is_new_and_ready(celery, name, before), 120, f"{name} is back")


def test_a_queue_that_no_worker_serves_shows_in_the_status(celery: Platform) -> None:
    with celery.airflow("celery") as api:
        run_id = api.trigger("lost_queue")
        wait_until(lambda: api.tasks("lost_queue", run_id)[0]["state"] == "queued", 60, "the task is queued")
        said, _ = celery.command("status").communicate(timeout=120)
        assert "1 queued in 'lost', which no worker serves" in said
        api.patch(f"/dags/lost_queue/dagRuns/{run_id}", {"state": "failed"})


def test_up_again_changes_nothing_and_all_of_it_goes_when_it_is_taken_away(celery: Platform) -> None:
    assert celery.up().changed == 0
    celery.change(lambda config: config["airflows"].pop())
    celery.up()
    namespaces = client.CoreV1Api(celery.api_client()).list_namespace().items
    assert NAMESPACE not in {namespace.metadata.name for namespace in namespaces}
