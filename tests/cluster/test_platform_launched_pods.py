"""Pods that tasks launch (KubernetesPodOperator), from every executor: in a namespace of their own, without rights."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from kubernetes import client

from components.airflow.pods import CONFIG_MAP
from components.airflow.secrets import KEYS_SECRET
from tests.cluster.looks import pods_of, wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
EXECUTORS = ["KubernetesExecutor", "CeleryExecutor", "LocalExecutor"]
NAMESPACE = "launched-main"
HOME = "airflow-main"
Pod = dict[str, Any]
KEY = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": KEYS_SECRET, "key": "fernet-key"}}}
CLONE = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}},
    "dataSource": {"kind": "PersistentVolumeClaim", "name": "logs"},
}


def with_volume(**volume: Any) -> Callable[[Pod], object]:
    return lambda pod: pod["spec"]["volumes"].append({"name": "more", **volume})


def in_container(**more: Any) -> Callable[[Pod], object]:
    return lambda pod: pod["spec"]["containers"][0].update(more)


def in_one_before(**more: Any) -> Callable[[Pod], object]:
    return lambda pod: pod["spec"].update(initContainers=[{**pod["spec"]["containers"][0], "name": "before", **more}])


NO_TASKS: dict[str, Callable[[Pod], object]] = {
    "another account": lambda pod: pod["spec"].update(serviceAccountName="migrate"),
    "a Secret": with_volume(secret={"secretName": KEYS_SECRET}),
    "a Secret among others": with_volume(projected={"sources": [{"secret": {"name": KEYS_SECRET}}]}),
    "another volume": with_volume(persistentVolumeClaim={"claimName": "redis-data-redis-0"}),
    "a copy of a volume": with_volume(ephemeral={"volumeClaimTemplate": {"spec": CLONE}}),
    "a Secret's value": in_container(env=[KEY]),
    "a Secret's values": in_container(envFrom=[{"secretRef": {"name": KEYS_SECRET}}]),
    "a Secret's value before it": in_one_before(env=[KEY]),
    "a Secret's values before it": in_one_before(envFrom=[{"secretRef": {"name": KEYS_SECRET}}]),
}
"""What makes of a task's pod one that the scheduler has no reason to make."""


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


@pytest.mark.parametrize("dag", ["launches_pods", "launches_deferred"])
def test_tasks_of_every_executor_launch_pods_that_may_do_nothing_and_go_when_they_end(
    launchers: Platform, dag: str
) -> None:
    core = client.CoreV1Api(launchers.api_client())
    with launchers.airflow() as api:
        api.wait_for_dag(dag)
        run_id = api.trigger(dag, {"image": image(launchers)})
        state = api.wait_for_run(dag, run_id)["state"]
        logs = {task["task_id"]: "\n".join(api.log(dag, run_id, task)) for task in api.tasks(dag, run_id)}
    assert state == "success", logs
    assert set(logs) == {f"from_{executor}" for executor in EXECUTORS}
    for name, log in logs.items():
        assert f"launched as system:serviceaccount:{NAMESPACE}:default may read secrets: 403" in log, f"{name}: {log}"
    wait_until(lambda: not core.list_namespaced_pod(NAMESPACE).items, 60, "launched pods are gone")


def test_no_task_launches_a_pod_where_its_airflows_secrets_are(launchers: Platform) -> None:
    with launchers.airflow() as api:
        api.wait_for_dag("launches_at_home")
        run_id = api.trigger("launches_at_home", {"image": image(launchers), "namespace": HOME})
        assert api.wait_for_run("launches_at_home", run_id)["state"] == "failed"
        tasks = api.tasks("launches_at_home", run_id)
        assert {task["task_id"] for task in tasks} == {f"from_{executor}" for executor in EXECUTORS}
        for task in tasks:
            assert task["state"] == "failed", task["task_id"]
            # What an exception says stands beside its event.
            path = f"/dags/launches_at_home/dagRuns/{quote(run_id, safe='')}/taskInstances/{task['task_id']}/logs/1"
            log = json.dumps(api.get(f"{path}?full_content=true")["content"])
            assert "forbidden" in log.lower(), f"{task['task_id']}: {log}"


@pytest.fixture
def as_scheduler(launchers: Platform) -> client.CoreV1Api:
    """The API as the scheduler's account has it, and so a task of the LocalExecutor."""
    api = launchers.api_client()
    api.set_default_header("Impersonate-User", f"system:serviceaccount:{HOME}:scheduler")
    return client.CoreV1Api(api)


@pytest.fixture
def task_pod(launchers: Platform) -> Pod:
    """A pod as the KubernetesExecutor makes one."""
    files: Any = client.CoreV1Api(launchers.api_client()).read_namespaced_config_map(CONFIG_MAP, HOME).data
    pod: Pod = yaml.safe_load(files["pod-template.yaml"])
    return {**pod, "metadata": {**pod["metadata"], "name": "probe"}}


def test_the_scheduler_may_make_a_pod_like_a_tasks(as_scheduler: client.CoreV1Api, task_pod: Pod) -> None:
    made = as_scheduler.create_namespaced_pod(HOME, task_pod, dry_run="All")
    assert made.spec.service_account_name == "task"


@pytest.mark.parametrize("change", NO_TASKS)
def test_the_scheduler_may_make_no_other_pod(as_scheduler: client.CoreV1Api, task_pod: Pod, change: str) -> None:
    NO_TASKS[change](task_pod)
    with pytest.raises(client.ApiException) as refused:
        as_scheduler.create_namespaced_pod(HOME, task_pod, dry_run="All")
    assert refused.value.status == 403
    assert "the scheduler makes and changes" in str(refused.value.body)


@pytest.mark.parametrize("part", ["api-server", "redis", "worker"])
def test_the_scheduler_may_change_no_other_pod(launchers: Platform, as_scheduler: client.CoreV1Api, part: str) -> None:
    pod = pods_of(launchers, part)[0]
    change = {"metadata": {"annotations": {"changed-by": "a task"}}}
    with pytest.raises(client.ApiException) as refused:
        as_scheduler.patch_namespaced_pod(pod.metadata.name, HOME, change, dry_run="All")
    assert refused.value.status == 403
    assert "the scheduler makes and changes" in str(refused.value.body)
