"""A running Airflow on a real Kubernetes, deployed by the real engine. In this order: each test leaves it well."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from ops.target import target
from tests.cluster.looks import (
    pod_logs,
    run_pod,
    secret_values,
    task_pods,
    task_pods_seen,
    wait_until,
)
from tests.cluster.platform import CLUSTER, STACK, Platform

pytestmark = pytest.mark.cluster


def test_a_dag_run_succeeds_in_pods_of_its_own_that_hold_no_secret(platform: Platform) -> None:
    with platform.airflow() as api, task_pods_seen(platform) as pods:
        api.wait_for_dag("example_sales_report")
        run_id = api.trigger("example_sales_report")
        run = api.wait_for_run("example_sales_report", run_id)
        tasks = api.tasks("example_sales_report", run_id)
    assert run["state"] == "success"
    assert [task["try_number"] for task in tasks] == [1, 1, 1, 1]
    assert len(pods) == 4
    for name, pod in pods.items():
        (container,) = pod["spec"]["containers"]
        assert not [env for env in container["env"] if "secretKeyRef" in json.dumps(env)], name
        assert not [volume for volume in pod["spec"]["volumes"] if "secret" in volume], name
        assert pod["spec"]["automountServiceAccountToken"] is False, name


def test_logs_are_readable_after_their_pods_are_gone(platform: Platform) -> None:
    with platform.airflow() as api:
        run_id = api.trigger("says_much")
        assert api.wait_for_run("says_much", run_id)["state"] == "success"
        wait_until(lambda: not task_pods(platform), 120, "finished task pods are deleted")
        (task,) = api.tasks("says_much", run_id)
        said = [line for line in api.log("says_much", run_id, task) if line.startswith("line ")]
    assert said == [f"line {number} of 200: grüße" for number in range(200)]


def test_a_pod_that_looks_like_a_task_cannot_reach_the_database(platform: Platform) -> None:
    connect = "import socket; socket.create_connection(('postgresql.postgresql.svc.cluster.local', 5432), 5)"
    refused = run_pod(platform, "airflow-main", "looks-like-a-task", {}, ["python", "-c", connect])
    assert "Error" in refused or "timed out" in refused, refused
    allowed = run_pod(
        platform,
        "airflow-main",
        "looks-like-a-part",
        {"airflow-platform/database-client": "true"},
        ["python", "-c", f"{connect}; print('connected')"],
    )
    assert "connected" in allowed, allowed


def test_the_ui_shows_the_version_of_the_dag_image(platform: Platform) -> None:
    version = platform.target().settings.airflows[0].dags.version
    with platform.airflow() as api:
        shown = api._request("GET", "/ui/config")["instance_name"]  # pyright: ignore[reportPrivateUsage]
    assert shown == f"{STACK} / main (DAGs {version})"


def test_up_again_changes_nothing(platform: Platform) -> None:
    outcome = platform.up()
    assert outcome.changed == 0, outcome


def test_a_cluster_that_a_person_has_is_used_as_it_is_when_the_stack_names_it(
    platform: Platform, tmp_path: Path
) -> None:
    own = tmp_path / "kubeconfig"
    text = platform.cluster.kubeconfig.read_text(encoding="utf-8")
    own.write_text(text.replace(f"airflow-platform-{CLUSTER}", "mine"), encoding="utf-8")
    with platform.changed(lambda config: config["cluster"].update(context="mine", path=str(own))):
        assert target(STACK, platform.progress, platform.stacks).testbed is None
        process = platform.command("status")
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Stack test, cluster mine" in said
    assert "postgresql-0" in said


def test_no_secret_stands_anywhere_but_in_a_secret(platform: Platform) -> None:
    objects = platform.objects()
    secrets = secret_values(platform)
    assert len(secrets) >= 6
    with platform.engine() as engine:
        exported = engine.exported()
    places = {
        f"{one['kind']} {one['metadata'].get('name')}": json.dumps(one) for one in objects if one["kind"] != "Secret"
    }
    places["pulumi stack export"] = exported
    places["what the runs printed"] = platform.output.getvalue()
    for path in platform.home.rglob("*"):
        if path.is_file() and path.name not in {"passphrase", "pulumi"}:
            places[str(path)] = path.read_text(encoding="utf-8", errors="replace")
    places |= pod_logs(platform)
    assert len(places) > 100
    for what, value in secrets.items():
        forms = {value, json.dumps(value)[1:-1], quote(value, safe="")}
        found = [place for place, text in places.items() if any(form in text for form in forms)]
        assert not found, f"{what} stands in clear in {found}"
