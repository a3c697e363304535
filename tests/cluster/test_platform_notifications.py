"""A failed run is told once, by mail and to a web address, whatever its DAG says; a server that is away is logged."""

import email
import email.policy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, utils

from tests.cluster.looks import pod_logs, wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
NAMESPACE = "receiver"
HOST = f"receiver.{NAMESPACE}.svc.cluster.local"
PROGRAM = (Path(__file__).parent / "receiver.py").read_text()
LABELS = {"app": "receiver"}
WEBHOOK = {
    "notifications": {"kind": "webhook", "url": f"http://{HOST}:8080/airflow"},
    "baseUrl": "http://airflow.example",
}
MAIL = {
    "notifications": {"kind": "smtp", "to": ["data@example.com"]},
    "smtp": {"host": HOST, "port": 2525, "security": "none", "sender": "airflow@example.com"},
}


@pytest.fixture(scope="module")
def told(platform: Platform) -> Iterator[Platform]:
    """The platform with a server beside it that takes messages; the stack is as before when the tests are over."""
    api = platform.api_client()
    dags = platform.target().settings.airflows[0].dags
    container = {
        "name": "receiver",
        "image": f"{dags.repository}:{dags.version}",
        "command": ["python", "-c", PROGRAM],
        "ports": [{"containerPort": 8080}, {"containerPort": 2525}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m"}},
    }
    named = {"name": "receiver", "namespace": NAMESPACE, "labels": LABELS}
    ports = [{"name": f"port-{port}", "port": port} for port in (8080, 2525)]
    for manifest in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": {"containers": [container]}},
        {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": {"selector": LABELS, "ports": ports}},
    ):
        utils.create_from_dict(api, manifest)
    try:
        yield platform
    finally:
        client.CoreV1Api(api).delete_namespace(NAMESPACE)
        platform.up()


def received(platform: Platform) -> list[dict[str, Any]]:
    core = client.CoreV1Api(platform.api_client())
    return [json.loads(line) for line in str(core.read_namespaced_pod_log("receiver", NAMESPACE)).splitlines()]


def fail(platform: Platform) -> str:
    """A run that fails."""
    with platform.airflow() as api:
        api.wait_for_dag("fails_twice")
        run_id = api.trigger("fails_twice")
        assert api.wait_for_run("fails_twice", run_id)["state"] == "failed"
    return run_id


def scheduler_said(platform: Platform) -> str:
    return "".join(log for name, log in pod_logs(platform).items() if "airflow-main/scheduler" in name)


def test_a_failed_run_is_posted_once_after_its_last_try(told: Platform) -> None:
    with told.changed(lambda config: config["airflows"][0].update(WEBHOOK)):
        told.up()
        run_id = fail(told)
        wait_until(lambda: bool(received(told)), 30, "the message is there")
        # A run that ends well comes after it, and gives none.
        with told.airflow() as api:
            good = api.trigger("example_sales_report")
            assert api.wait_for_run("example_sales_report", good)["state"] == "success"
        (message,) = [one["posted"] for one in received(told)]
        assert (message["dag"], message["run"]) == ("fails_twice", run_id)
        (task,) = message["tasks"]
        assert (task["task"], task["try"]) == ("fails", 2)
        assert task["log"].startswith("http://airflow.example/dags/fails_twice/runs/")
        assert f"notification sent: {message['text'].splitlines()[0]}" in scheduler_said(told)


def test_a_failed_run_is_mailed_and_a_server_that_is_away_is_a_line_in_the_log(told: Platform) -> None:
    core = client.CoreV1Api(told.api_client())
    with told.changed(lambda config: config["airflows"][0].update(MAIL)):
        told.up()
        run_id = fail(told)
        wait_until(lambda: any("mailed" in one for one in received(told)), 30, "the mail is there")
        (lines,) = [one["mailed"] for one in received(told) if "mailed" in one]
        mail = email.message_from_string("\n".join(lines), policy=email.policy.default)
        assert mail["To"] == "data@example.com"
        assert mail["Subject"] == f"[test / main] DAG fails_twice failed: {run_id}"
        assert "- task fails failed in try 2" in mail.get_content()
        core.patch_namespaced_service("receiver", NAMESPACE, {"spec": {"selector": {"app": "nobody"}}})
        fail(told)
        wait_until(lambda: "notification not sent" in scheduler_said(told), 60, "the scheduler says so")
