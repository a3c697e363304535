"""`airflow standalone` in one pod, of the same image on the same cluster: what everything else is compared with."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import client

from ops.airflow_api import AirflowApi
from tests.cluster.looks import wait_until
from tests.cluster.platform import Platform

NAME = "standalone"
HOME = "/home/standalone"
PORT = 8080
START_SECONDS = 300
# As it comes: LocalExecutor, SQLite, everything in one pod. But without the examples, and with eight tasks at once, not
# 32: SQLite is locked by one while the next writes, and then its api-server answers nobody for minutes.
ENV = {
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__CORE__DAGS_FOLDER": "/opt/airflow/dags",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
}


@contextmanager
def standalone(platform: Platform) -> Iterator[AirflowApi]:
    """A session with it, on the platform's cluster, which must be up. Taken away again after the block."""
    core: Any = client.CoreV1Api(platform.api_client())
    dags = platform.target().settings.airflows[0].dags
    labels = {"app.kubernetes.io/component": NAME}
    pod: dict[str, Any] = {
        "metadata": {"name": NAME, "labels": labels},
        "spec": {
            "securityContext": {"runAsUser": 50000, "runAsGroup": 0, "fsGroup": 0},
            "containers": [
                {
                    "name": NAME,
                    "image": f"{dags.repository}:{dags.version}",
                    "args": ["standalone"],
                    "env": [{"name": name, "value": value} for name, value in ENV.items()],
                    "volumeMounts": [{"name": "home", "mountPath": HOME}],
                }
            ],
            "volumes": [{"name": "home", "emptyDir": {}}],
        },
    }
    core.create_namespace({"metadata": {"name": NAME}})
    try:
        core.create_namespaced_pod(NAME, pod)
        service = {"selector": labels, "ports": [{"port": PORT}]}
        core.create_namespaced_service(NAME, {"metadata": {"name": NAME}, "spec": service})
        wait_until(lambda: bool(_password(platform)), START_SECONDS, "airflow standalone has made a password")
        port = platform.cluster.forward(f"{NAME}.{NAME}", PORT)
        api = AirflowApi(f"http://127.0.0.1:{port}", "admin", _password(platform))
        api.log_in(START_SECONDS)
        yield api
    finally:
        core.delete_namespace(NAME, grace_period_seconds=0)


def _password(platform: Platform) -> str:
    """What it wrote down for its administrator; empty as long as there is none."""
    show = f"cat {HOME}/simple_auth_manager_passwords.json.generated 2> /dev/null || true"
    core: Any = client.CoreV1Api(platform.api_client())
    if core.read_namespaced_pod_status(NAME, NAME).status.phase != "Running":
        return ""
    said = platform.kubectl(f"--namespace={NAME}", "exec", NAME, "--", "bash", "-c", show)
    return str(json.loads(said)["admin"]) if said.strip() else ""
