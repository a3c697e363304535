"""What keeps an Airflow well: contents from the stack file, a new Fernet key, CronJobs, a pod to look around in."""

import hashlib
from typing import Any

import pytest
from kubernetes import client

from ops.status import status
from ops.target import target
from tests.cluster.looks import run_in, wait_until
from tests.cluster.platform import STACK, Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
NAMESPACE = "airflow-main"
ODD_PASSWORD = "p@ss $HOME ~%(x)s'\"\\;:/?#[]ü"
BY_HAND = "kept while the key rotates"
CRON_JOBS = ("clean-logs", "clean-task-pods", "db-clean", "reconcile")

# The first key alone: whatever opens with it has been encrypted with it.
OPEN_WITH_FIRST_KEY = """
from airflow.configuration import conf
from airflow.models import Connection
from airflow.utils.session import create_session
from cryptography.fernet import Fernet
from sqlalchemy import select
keys = conf.get("core", "fernet_key").split(",")
with create_session() as session:
    stored = session.execute(select(Connection._password).where(Connection.conn_id == "by_hand")).scalar_one()
print(len(keys), "keys, opened:", Fernet(keys[0]).decrypt(stored.encode()).decode())
"""


def first_step(config: dict[str, Any]) -> None:
    airflow = config["airflows"][0]
    airflow["connections"] = {
        "warehouse": {"type": "postgres", "host": "db.example.com", "extra": {"sslmode": "require"}},
        "leaving": {"type": "http"},
    }
    airflow["variables"] = {"region": "europe-west1"}
    airflow["pools"] = {"reports": {"slots": 3}}
    airflow["rotations"] = {"fernetKey": 1}
    airflow["maintenance"] = True
    config.setdefault("secrets", {}).setdefault("main", {})["connections"] = {
        "warehouse": {"login": "reader", "password": ODD_PASSWORD}
    }


def second_step(config: dict[str, Any]) -> None:
    airflow = config["airflows"][0]
    del airflow["connections"]["leaving"], airflow["maintenance"]
    airflow["rotations"] = {"fernetKey": 1, "fernetKeyInUse": 1}


def test_a_task_reads_what_the_stack_file_says(platform: Platform) -> None:
    with platform.airflow() as api:
        api.post("/connections", {"connection_id": "by_hand", "conn_type": "http", "password": BY_HAND})
    platform.change(first_step)
    platform.up()
    with platform.airflow() as api:
        assert api.get("/pools/reports")["slots"] == 3
        api.wait_for_dag("reads_contents")
        run_id = api.trigger("reads_contents")
        assert api.wait_for_run("reads_contents", run_id)["state"] == "success"
        (task,) = api.tasks("reads_contents", run_id)
        log = "\n".join(api.log("reads_contents", run_id, task))
    digest = hashlib.sha256(ODD_PASSWORD.encode()).hexdigest()[:16]
    assert f"reader at db.example.com, require, password {digest}" in log
    assert "region europe-west1" in log


def test_the_pod_to_look_around_in_has_the_command_line_the_dags_and_the_database(platform: Platform) -> None:
    said = run_in(platform, "maintenance", ["bash", "-c", "ls /opt/airflow/dags && airflow pools list --output=plain"])
    assert "reads_contents.py" in said
    assert "reports" in said


def test_the_fernet_key_rotates_and_what_was_made_by_hand_opens_with_the_new_one(platform: Platform) -> None:
    old = platform.view().secret(NAMESPACE, "airflow-keys")["fernet-key"].split(",")
    platform.change(second_step)
    platform.up()
    new = platform.view().secret(NAMESPACE, "airflow-keys")["fernet-key"].split(",")
    assert new == old[::-1]
    assert len(set(new)) == 2
    said = run_in(platform, "scheduler", ["python", "-c", OPEN_WITH_FIRST_KEY])
    assert f"2 keys, opened: {BY_HAND}" in said
    with platform.airflow() as api:
        connections = {one["connection_id"] for one in api.get("/connections?limit=1000")["connections"]}
    assert {"by_hand", "warehouse"} <= connections
    assert "leaving" not in connections


def test_every_cron_job_does_its_work(platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    batch = client.BatchV1Api(platform.api_client())
    names = {name: f"{name}-now" for name in CRON_JOBS}
    for cron, name in names.items():
        template = batch.read_namespaced_cron_job(cron, NAMESPACE).spec.job_template
        batch.create_namespaced_job(NAMESPACE, {"metadata": {"name": name}, "spec": template.spec})

    def ended() -> dict[str, tuple[int | None, int | None]]:
        found = {name: batch.read_namespaced_job_status(name, NAMESPACE).status for name in names.values()}
        return {name: (one.succeeded, one.failed) for name, one in found.items()}

    try:
        wait_until(lambda: all(any(counts) for counts in ended().values()), 240, "the CronJobs' work is done")
        assert ended() == dict.fromkeys(names.values(), (1, None))
    finally:
        for name in names.values():
            batch.delete_namespaced_job(name, NAMESPACE, propagation_policy="Background")
    assert status(target(STACK, platform.progress, platform.stacks))
    said = capsys.readouterr().out
    assert all(cron in said for cron in CRON_JOBS)
