"""Nothing is lost: the executors' tasks and each fault, all executors at once in one Airflow.

Every try of every task leaves a row in a database that no fault touches: how many processes ran a task, which of them
came to their end, and whether two of one task were ever alive at once. The times are for docs/faults.md.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from kubernetes import client

from testbed.cluster.layout import NODE_NAME
from tests.cluster.fence import Fence, Try
from tests.cluster.looks import kill, wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
EXECUTORS = ("CeleryExecutor", "KubernetesExecutor", "LocalExecutor")
NAMESPACE = "airflow-main"
SECONDS = 45
"""Of a long task: longer than the longest fault lasts."""
RUN_SECONDS = 600
"""A task of a worker that is dead is missed after five minutes (``task_instance_heartbeat_timeout``)."""
WORKER = {"cpu": "50m", "memory": "256Mi", "cpuLimit": "2", "memoryLimit": "1Gi"}
STAYING = ("api-server", "dag-processor", "pgbouncer", "scheduler", "triggerer", "worker", "redis")


@dataclass
class Faulted:
    """The platform with all executors, the database that the tasks write to, and what was measured."""

    platform: Platform
    fence: Fence
    measured: list[str] = field(default_factory=list)

    def pods(self, part: str, namespace: str = NAMESPACE) -> dict[str, int]:
        """A part's pods, and how often each has restarted; -1 for one that is not ready or on its way out."""
        labels = f"app.kubernetes.io/component={part}"
        found = {}
        for pod in (
            client.CoreV1Api(self.platform.api_client()).list_namespaced_pod(namespace, label_selector=labels).items
        ):
            statuses = list(pod.status.container_statuses or [])
            there = bool(statuses) and all(s.ready for s in statuses) and pod.metadata.deletion_timestamp is None
            found[pod.metadata.uid] = sum(s.restart_count for s in statuses) if there else -1
        return found

    def well(self) -> bool:
        """Whether all parts are there and ready."""
        server = self.pods("server", "postgresql")
        return all(pods and min(pods.values()) >= 0 for pods in [server, *map(self.pods, STAYING)])


def new_image(faulted: Faulted) -> None:
    note = faulted.platform.source / "dags-image" / "dags" / "newer.py"
    note.write_text(f"# {time.time()}\n", encoding="utf-8")
    assert faulted.platform.up().changed


def drain(faulted: Faulted) -> None:
    """The node is drained of what runs tasks. It is the only one, so their successors wait until it is open again."""
    try:
        faulted.platform.kubectl(
            *("drain", NODE_NAME, "--force", "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=300s"),
            "--pod-selector=app.kubernetes.io/component in (task, worker, scheduler)",
        )
    finally:
        faulted.platform.kubectl("uncordon", NODE_NAME)


def restart_pgbouncer(faulted: Faulted) -> None:
    faulted.platform.kubectl("--namespace", NAMESPACE, "rollout", "restart", "deployment/pgbouncer")
    faulted.platform.kubectl("--namespace", NAMESPACE, "rollout", "status", "deployment/pgbouncer", "--timeout=300s")


def restart_postgresql(faulted: Faulted) -> None:
    faulted.platform.kubectl("--namespace", "postgresql", "delete", "pod", "postgresql-0")


def kill_tasks(faulted: Faulted) -> None:
    """What runs tasks outside of the scheduler ends at once."""
    kill(faulted.platform, "task")
    kill(faulted.platform, "worker")


FAULTS: dict[str, tuple[Callable[[Faulted], object], bool]] = {
    "nothing": (lambda _: None, True),
    "new image": (new_image, True),
    "node drained": (drain, True),
    "PgBouncer restarted": (restart_pgbouncer, True),
    "PgBouncer killed": (lambda faulted: kill(faulted.platform, "pgbouncer"), False),
    "api-server killed": (lambda faulted: kill(faulted.platform, "api-server"), False),
    "dag-processor killed": (lambda faulted: kill(faulted.platform, "dag-processor"), False),
    "scheduler killed": (lambda faulted: kill(faulted.platform, "scheduler"), False),
    "PostgreSQL restarted": (restart_postgresql, False),
    "worker and task's pod killed": (kill_tasks, False),
}
"""What happens, and whether it is planned: then it kills no task at all."""


@pytest.fixture(scope="module")
def faulted(platform: Platform) -> Iterator[Faulted]:
    """One Airflow with the three executors at once, two api-servers and two PgBouncers."""
    fence = Fence(platform)

    def enlarge(config: dict[str, Any]) -> None:
        config["airflows"][0] |= {
            "executor": list(EXECUTORS),
            "celery": {
                "broker": {"kind": "redis", "memory": "128Mi"},
                "longestTaskSeconds": 120,
                # One: its budget lets a drain take one at a time, and the next one has no other node to start on.
                "queues": [{"name": "default", "replicas": 1, "concurrency": 4, "resources": WORKER}],
            },
            "replicas": {"apiServer": 2},
            "pooler": {"enabled": True, "replicas": 2},
            "network": {"taskDestinations": [{"cidr": f"{fence.address}/32", "ports": [5432]}]},
        }

    made = Faulted(platform, fence)
    try:
        with platform.changed(enlarge):
            platform.up()
            wait_until(made.well, 180, "all parts are ready")
            with platform.airflow() as api:
                api.wait_for_dag("fenced")
            yield made
    finally:
        print("\n| fault | all parts ready again | the run ends | tries: Celery, Kubernetes, Local |")
        print("\n".join(["| --- | --- | --- | --- |", *made.measured]))
        fence.remove()
        platform.up()


def states(faulted: Faulted, run_id: str) -> tuple[str, list[dict[str, Any]]]:
    with faulted.platform.airflow() as api:
        return api.run("fenced", run_id)["state"], api.tasks("fenced", run_id)


def ended(faulted: Faulted, run_id: str) -> bool:
    # Right after a fault the API may be away as well.
    with suppress(OSError):
        return states(faulted, run_id)[0] in {"success", "failed"}
    return False


def by_task(tries: list[Try]) -> dict[str, list[Try]]:
    return {name: [one for one in tries if one.task == name] for name in {one.task for one in tries}}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_ends_well_and_only_a_task_whose_process_was_killed_is_tried_once_more(
    faulted: Faulted, fault: str
) -> None:
    act, planned = FAULTS[fault]
    with faulted.platform.airflow() as api:
        run_id = api.trigger("fenced", {"fence": faulted.fence.url, "seconds": SECONDS})
    wait_until(lambda: len(faulted.fence.tries(run_id)) == len(EXECUTORS), 180, "the long tasks run")
    schedulers = faulted.pods("scheduler")
    began = time.monotonic()
    act(faulted)
    wait_until(faulted.well, 300, "all parts are ready again")
    back = time.monotonic() - began
    killed = not planned and faulted.pods("scheduler") != schedulers
    wait_until(lambda: ended(faulted, run_id), RUN_SECONDS, "the run ends")
    took = time.monotonic() - began
    state, tasks = states(faulted, run_id)
    tries = by_task(faulted.fence.tries(run_id))
    counts = ", ".join(str(len(tries[f"long_{executor}"])) for executor in EXECUTORS)
    faulted.measured.append(f"| {fault} | {back:.0f} s | {took:.0f} s | {counts} |")
    assert state == "success", tasks
    # Tasks of the LocalExecutor are processes of the scheduler's pod, and end with it where that is no plan.
    more = {"long_LocalExecutor"} if killed else set[str]()
    if act is kill_tasks:
        more = {"long_CeleryExecutor", "long_KubernetesExecutor"}
    expected = {task["task_id"]: 2 if task["task_id"] in more else 1 for task in tasks}
    assert {name: len(found) for name, found in tries.items()} == expected
    assert {task["task_id"]: task["try_number"] for task in tasks} == expected
    for name, found in tries.items():
        assert [one.done for one in found] == [False] * (expected[name] - 1) + [True], name
    assert faulted.fence.overlaps() == 0


def test_the_fence_would_have_seen_two_processes_of_one_task(faulted: Faulted) -> None:
    faulted.fence.pretend("twice", "one", 0, 2)
    faulted.fence.pretend("twice", "one", 3, 4)
    assert faulted.fence.overlaps() == 0
    faulted.fence.pretend("twice", "one", 1, 5)
    assert faulted.fence.overlaps() == 2
