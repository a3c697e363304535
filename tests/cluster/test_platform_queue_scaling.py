"""Celery workers by the tasks that wait and run (KEDA): none while there are none, and no task is killed for it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from kubernetes import client

from ops.airflow_api import AirflowApi
from testbed.cluster import keda
from tests.cluster.looks import wait_until
from tests.cluster.platform import Change, Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(3600)]  # KEDA is built once
WORKERS, NAMESPACE = "worker-default", "airflow-main"
DAG = "lasts"
CONCURRENCY = 2
SCALE_DOWN_SECONDS = 30
POLLING_SECONDS = 5
TOKEN_SECONDS = 30


def scaling(broker: str) -> Change:
    scale = {"kind": "keda", "max": 2, "scaleDownSeconds": SCALE_DOWN_SECONDS, "pollingSeconds": POLLING_SECONDS}
    queue = {
        "name": "default",
        "concurrency": CONCURRENCY,
        "autoscale": scale,
        "resources": {"cpu": "50m", "memory": "256Mi", "cpuLimit": "2", "memoryLimit": "1Gi"},
    }

    def change(config: dict[str, Any]) -> None:
        config["cluster"]["kedaNamespace"] = keda.NAMESPACE
        config["airflows"][0] |= {
            "executor": "CeleryExecutor",
            "celery": {"broker": {"kind": broker}, "longestTaskSeconds": 600, "queues": [queue]},
            # Tasks run for longer than their tokens last.
            "extra": {"config": {"execution_api": {"jwt_expiration_time": str(TOKEN_SECONDS)}}},
        }

    return change


@pytest.fixture(scope="module")
def with_keda(platform: Platform) -> Iterator[Platform]:
    keda.install(platform.cluster, platform.progress)
    yield platform
    platform.up()
    keda.remove(platform.cluster)


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def scaled(with_keda: Platform, request: pytest.FixtureRequest) -> Iterator[Platform]:
    with with_keda.changed(scaling(request.param)):
        with_keda.up()
        yield with_keda


def workers(platform: Platform) -> int:
    """How many are asked for."""
    found = client.AppsV1Api(platform.api_client()).read_namespaced_stateful_set(WORKERS, NAMESPACE)
    return int(found.spec.replicas)


def pods(platform: Platform) -> dict[str, str]:
    """The addresses of those that there are, by name."""
    found = client.CoreV1Api(platform.api_client()).list_namespaced_pod(
        NAMESPACE, label_selector="app.kubernetes.io/component=worker"
    )
    return {pod.metadata.name: pod.status.pod_ip for pod in found.items}


def last_active(platform: Platform) -> datetime:
    """When KEDA last saw a task, in the queue or in a worker."""
    api = client.CustomObjectsApi(platform.api_client())
    found: Any = api.get_namespaced_custom_object("keda.sh", "v1alpha1", NAMESPACE, "scaledobjects", WORKERS)
    return datetime.fromisoformat(found["status"]["lastActiveTime"])


def task(api: AirflowApi, run_id: str) -> dict[str, Any]:
    (found,) = api.tasks(DAG, run_id)
    return found


def started(api: AirflowApi, until: str) -> str:
    """A run whose task has begun, and ends when the variable ``until`` is there."""
    run_id = api.trigger(DAG, {"until": until})
    wait_until(lambda: task(api, run_id)["state"] == "running", 300, f"the task that waits for {until} runs")
    return run_id


def test_workers_come_for_tasks_stay_while_these_run_and_go_when_there_are_none(scaled: Platform) -> None:
    with scaled.airflow() as api:
        api.wait_for_dag(DAG)
        wait_until(lambda: workers(scaled) == 0 and not pods(scaled), 300, "there is no worker, and no task for one")
        said, _ = scaled.command("status").communicate(timeout=120)
        assert "nothing is wrong" in said, said

        # From none to one; and one task that runs, with nothing behind it, keeps its worker.
        first = started(api, "first_may_end")
        began = datetime.fromisoformat(task(api, first)["start_date"])
        waited = began - datetime.fromisoformat(task(api, first)["queued_when"])
        print(f"\nfrom no worker to a running task: {waited.total_seconds():.0f} s")
        kept = began + timedelta(seconds=2 * SCALE_DOWN_SECONDS)
        wait_until(lambda: last_active(scaled) > kept, 180, "KEDA counts a task that runs")
        assert (workers(scaled), task(api, first)["state"]) == (1, "running")

        # One worker is full: the one task more than it can run brings a second worker.
        second, third = (started(api, "all_may_end") for _ in range(2))
        assert workers(scaled) == 2
        assert {task(api, run)["hostname"] for run in (first, second, third)} == set(pods(scaled).values())
        scaled.up()
        assert workers(scaled) == 2, "an up leaves the number of workers to the autoscaler"

        for key in ("first_may_end", "all_may_end"):
            api.post("/variables", {"key": key, "value": "yes"})
        for run in (first, second, third):
            assert api.wait_for_run(DAG, run)["state"] == "success"
        wait_until(lambda: workers(scaled) == 0 and not pods(scaled), 300, "all workers have gone with their tasks")
        again = api.trigger(DAG, {"until": "all_may_end"})
        assert api.wait_for_run(DAG, again)["state"] == "success"
        assert {task(api, run)["try_number"] for run in (first, second, third, again)} == {1}
        for key in ("first_may_end", "all_may_end"):
            api.delete(f"/variables/{key}")
