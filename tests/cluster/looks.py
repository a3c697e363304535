"""Looks into a running stack, for the tests."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kubernetes import client, watch
from urllib3.exceptions import HTTPError

from tests.cluster.platform import Platform


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Until ``condition``, looking every half second; fails with ``what`` after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.5)


@contextmanager
def task_pods_seen(platform: Platform) -> Iterator[dict[str, dict[str, Any]]]:
    """Every task pod that appears while the block runs, by name."""
    api = platform.api_client()
    seen: dict[str, dict[str, Any]] = {}
    watcher = watch.Watch()
    over = threading.Event()

    def look() -> None:
        core = client.CoreV1Api(api)
        # The API server may end a watch at any time; stopping it in the middle of a line is an error, too.
        while not over.is_set():
            with suppress(HTTPError, client.ApiException):
                for event in watcher.stream(
                    core.list_namespaced_pod, "airflow-main", label_selector="kubernetes_executor=True"
                ):
                    pod = event["raw_object"]
                    seen[pod["metadata"]["name"]] = pod

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.stop()


def task_pods(platform: Platform) -> list[str]:
    core = client.CoreV1Api(platform.api_client())
    return [
        pod.metadata.name
        for pod in core.list_namespaced_pod("airflow-main", label_selector="kubernetes_executor").items
    ]


def secret_values(platform: Platform) -> dict[str, str]:
    view = platform.view()
    names = [
        ("airflow-main", "airflow-keys"),
        ("airflow-main", "database"),
        ("airflow-main", "admin"),
        ("postgresql", "administrator"),
        ("postgresql", "bootstrap-main"),
    ]
    found = {
        f"{namespace}/{name}/{key}": value
        for namespace, name in names
        for key, value in view.secret(namespace, name).items()
        if key != "username"
    }
    assert all(len(value) >= 16 for value in found.values())
    return found


def pod_logs(platform: Platform) -> dict[str, str]:
    core = client.CoreV1Api(platform.api_client())
    logs = {}
    for pod in platform.view().pods():
        name, namespace = pod.metadata.name, pod.metadata.namespace
        for container in [*(pod.spec.init_containers or []), *pod.spec.containers]:
            try:
                text = core.read_namespaced_pod_log(name, namespace, container=container.name)
            except client.ApiException:
                continue  # it went away meanwhile, or has not begun
            logs[f"log of {namespace}/{name}/{container.name}"] = str(text)
    return logs


def run_in(platform: Platform, part: str, command: list[str], namespace: str = "airflow-main") -> str:
    """What ``command`` prints in a part's pod; a Failure with it where it fails. A part is a Deployment, or else named
    with its kind: ``statefulset/worker-default``."""
    workload = part if "/" in part else f"deployment/{part}"
    return platform.kubectl(f"--namespace={namespace}", "exec", workload, "--", *command)


def pods_of(platform: Platform, part: str) -> list[Any]:
    labels = f"app.kubernetes.io/component={part}"
    return list(
        client.CoreV1Api(platform.api_client()).list_namespaced_pod("airflow-main", label_selector=labels).items
    )


def kill(platform: Platform, part: str) -> None:
    """End one of a part's pods at once, as a node that dies would."""
    victim = next(pod for pod in pods_of(platform, part) if pod.metadata.deletion_timestamp is None)
    core = client.CoreV1Api(platform.api_client())
    core.delete_namespaced_pod(victim.metadata.name, "airflow-main", grace_period_seconds=0)


def restarts(platform: Platform, part: str) -> int:
    return sum(
        status.restart_count for pod in pods_of(platform, part) for status in pod.status.container_statuses or []
    )


def ready(platform: Platform, part: str) -> bool:
    return all(status.ready for pod in pods_of(platform, part) for status in pod.status.container_statuses or [])


def statefulset_is_rolling(platform: Platform) -> bool:
    apps = client.AppsV1Api(platform.api_client())
    found = apps.read_namespaced_stateful_set_status("postgresql", "postgresql")
    return bool(found.status.update_revision != found.status.current_revision)


def interrupt(process: Any, after: str, then: Callable[[], bool]) -> str:
    """What a process printed that was sent Ctrl-C, as by a terminal, once ``then`` holds after it printed ``after``."""
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if after in line:
            break
    wait_until(lambda: then() or process.poll() is not None, 120, "the update is under way")
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=300)
    return "".join(lines) + rest


def has_accounts(platform: Platform, namespace: str) -> bool:
    return bool(client.CoreV1Api(platform.api_client()).list_namespaced_service_account(namespace).items[1:])


def uids(platform: Platform, namespace: str) -> dict[str, str]:
    """The running parts of an Airflow, without tasks, Jobs, and what is on its way out."""
    core = client.CoreV1Api(platform.api_client())
    pods = core.list_namespaced_pod(namespace, label_selector="app.kubernetes.io/component!=task").items
    staying = [pod for pod in pods if pod.status.phase == "Running" and pod.metadata.deletion_timestamp is None]
    staying = [pod for pod in staying if "job-name" not in pod.metadata.labels]
    return {pod.metadata.name: pod.metadata.uid for pod in staying}


def run_pod(platform: Platform, namespace: str, name: str, labels: dict[str, str], command: list[str]) -> str:
    """What a pod of Airflow's image prints that runs ``command``."""
    core = client.CoreV1Api(platform.api_client())
    image = platform.target().settings.airflows[0].dags
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 50000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "x",
                "image": f"{image.repository}:{image.version}",
                "command": command,
                "securityContext": security,
            }
        ],
    }
    core.create_namespaced_pod(namespace, {"metadata": {"name": name, "labels": labels}, "spec": spec})
    try:
        wait_until(
            lambda: core.read_namespaced_pod_status(name, namespace).status.phase in {"Succeeded", "Failed"},
            120,
            f"pod {name} ends",
        )
        said: Any = core.read_namespaced_pod_log(name, namespace, _preload_content=False)
        return said.data.decode(errors="replace")  # a test may have it print what is no text
    finally:
        core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
