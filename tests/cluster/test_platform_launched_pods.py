"""Pods that tasks launch (KubernetesPodOperator), from every executor: in a namespace of their own, without rights."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from kubernetes import client

from tests.cluster.looks import wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
EXECUTORS = ["KubernetesExecutor", "CeleryExecutor", "LocalExecutor"]
NAMESPACE = "launched-main"


def launching(config: dict[str, Any]) -> None:
    config["airflows"][0] |= {
        "executor": EXECUTORS,
        "kubernetesPodOperator": True,
        "celery": {
            "broker": {"kind": "redis", "memory": "128Mi"},
            "longestTaskSeconds": 300,
            "queues": [
                {
                    "name": "default",
                    "replicas": 1,
                    "concurrency": 2,
                    "resources": {"cpu": "50m", "memory": "256Mi", "cpuLimit": "2", "memoryLimit": "1Gi"},
                }
            ],
        },
    }


@pytest.fixture(scope="module")
def launchers(platform: Platform) -> Iterator[Platform]:
    with platform.changed(launching):
        platform.up()
        yield platform
    platform.up()


def image(platform: Platform) -> str:
    """One that has Python, and is in the cluster."""
    dags = platform.target().settings.airflows[0].dags
    return f"{dags.repository}:{dags.version}"


def test_tasks_of_every_executor_launch_pods_that_may_do_nothing_and_go_when_they_end(launchers: Platform) -> None:
    core = client.CoreV1Api(launchers.api_client())
    with launchers.airflow() as api:
        api.wait_for_dag("launches_pods")
        run_id = api.trigger("launches_pods", {"image": image(launchers)})
        state = api.wait_for_run("launches_pods", run_id)["state"]
        logs = {
            task["task_id"]: "\n".join(api.log("launches_pods", run_id, task))
            for task in api.tasks("launches_pods", run_id)
        }
    assert state == "success", logs
    assert set(logs) == {f"from_{executor}" for executor in EXECUTORS}
    for name, log in logs.items():
        assert f"launched as system:serviceaccount:{NAMESPACE}:default may read secrets: 403" in log, f"{name}: {log}"
    wait_until(lambda: not core.list_namespaced_pod(NAMESPACE).items, 60, "launched pods are gone")


def test_no_task_of_a_pod_or_a_worker_launches_a_pod_where_its_airflows_secrets_are(launchers: Platform) -> None:
    with launchers.airflow() as api:
        api.wait_for_dag("launches_at_home")
        run_id = api.trigger("launches_at_home", {"image": image(launchers), "namespace": "airflow-main"})
        assert api.wait_for_run("launches_at_home", run_id)["state"] == "failed"
        tasks = api.tasks("launches_at_home", run_id)
        assert {task["task_id"] for task in tasks} == {"from_KubernetesExecutor", "from_CeleryExecutor"}
        for task in tasks:
            assert task["state"] == "failed", task["task_id"]
            # What an exception says stands beside its event.
            path = f"/dags/launches_at_home/dagRuns/{quote(run_id, safe='')}/taskInstances/{task['task_id']}/logs/1"
            log = json.dumps(api.get(f"{path}?full_content=true")["content"])
            assert "forbidden" in log.lower(), f"{task['task_id']}: {log}"
