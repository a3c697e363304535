"""Celery workers by their CPU (HPA, metrics-server): more under load, fewer after it, and no task is killed for it."""

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.looks import wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
WORKERS, NAMESPACE = "worker-default", "airflow-main"
BUSY_TASKS = 3


def scaling(config: dict[str, Any]) -> None:
    config["airflows"][0] |= {
        "executor": "CeleryExecutor",
        "celery": {
            "broker": {"kind": "redis", "memory": "128Mi"},
            "longestTaskSeconds": 600,
            "queues": [
                {
                    "name": "default",
                    "concurrency": BUSY_TASKS,
                    "autoscale": {"kind": "hpa", "min": 1, "max": 2, "cpuPercent": 80, "scaleDownSeconds": 15},
                    "resources": {"cpu": "300m", "memory": "512Mi", "cpuLimit": "1", "memoryLimit": "1536Mi"},
                }
            ],
        },
    }


@pytest.fixture(scope="module")
def scaled(platform: Platform) -> Iterator[Platform]:
    platform.cluster.serve_metrics()
    with platform.changed(scaling):
        platform.up()
        yield platform
    platform.up()


def workers(platform: Platform) -> Any:
    return client.AppsV1Api(platform.api_client()).read_namespaced_stateful_set(WORKERS, NAMESPACE)


def second(platform: Platform) -> Any:
    """The pod of the second worker, None where there is none."""
    found = client.CoreV1Api(platform.api_client()).list_namespaced_pod(NAMESPACE).items
    return next((pod for pod in found if pod.metadata.name == f"{WORKERS}-1"), None)


def test_kubectl_top_shows_what_pods_use(scaled: Platform) -> None:
    def top() -> str:
        return scaled.kubectl("top", "pods", f"--namespace={NAMESPACE}", "--no-headers")

    wait_until(lambda: f"{WORKERS}-0" in top(), 90, "the worker has figures")
    assert "scheduler-" in top()


def test_a_second_worker_comes_under_load_stays_in_an_up_and_goes_when_its_task_has_ended(scaled: Platform) -> None:
    with scaled.airflow() as api:
        api.wait_for_dag("busy")
        api.wait_for_dag("lasts")
        # The CPU of a worker's start may have called for a second one.
        wait_until(lambda: workers(scaled).spec.replicas == 1, 240, "one worker is enough for nothing")
        busy = api.trigger("busy", {"until": "load_is_over"})
        wait_until(lambda: workers(scaled).spec.replicas == 2, 240, "a second worker is asked for")
        wait_until(lambda: workers(scaled).status.ready_replicas == 2, 240, "the second worker serves the queue")
        scaled.up()
        assert workers(scaled).spec.replicas == 2, "an up leaves the number of workers to the autoscaler"

        # The first worker is full, so the second one has this task, and is the one to go when the load is over.
        lasting = api.trigger("lasts", {"until": "task_may_end"})
        wait_until(lambda: api.tasks("lasts", lasting)[0]["state"] == "running", 120, "the second worker has a task")
        api.post("/variables", {"key": "load_is_over", "value": "yes"})
        wait_until(lambda: workers(scaled).spec.replicas == 1, 480, "one worker is enough again")
        wait_until(lambda: second(scaled).metadata.deletion_timestamp is not None, 60, "the second worker is to go")
        (task,) = api.tasks("lasts", lasting)
        assert task["state"] == "running"
        assert task["hostname"] == second(scaled).status.pod_ip
        api.post("/variables", {"key": "task_may_end", "value": "yes"})
        wait_until(lambda: second(scaled) is None, 120, "the second worker has gone, now that its task has ended")
        for dag, run_id in (("busy", busy), ("lasts", lasting)):
            assert api.wait_for_run(dag, run_id)["state"] == "success"
            assert {one["try_number"] for one in api.tasks(dag, run_id)} == {1}
        for key in ("load_is_over", "task_may_end"):
            api.delete(f"/variables/{key}")
