"""What a running Airflow goes through, in this order: rolls, interruptions, mistakes, another one, down and up."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from ops.status import status
from ops.target import target
from testbed.progress import Failure
from tests.cluster.looks import (
    has_accounts,
    interrupt,
    ready,
    restarts,
    run_in,
    run_pod,
    statefulset_is_rolling,
    uids,
    wait_until,
)
from tests.cluster.neighbours import (
    DENIED,
    REACHED,
    answers_of_kubernetes,
    of_neighbour,
    reached_by_part,
    reached_by_task,
)
from tests.cluster.platform import STACK, Platform
from tests.cluster.way_in import ask, door_of, token_of

pytestmark = pytest.mark.cluster
ODD_PASSWORD = "p@ss $HOME ~%(x)s'\"\\;:/?#[]ü"


def test_a_new_image_rolls_while_a_dag_runs_and_kills_none_of_its_tasks(platform: Platform) -> None:
    before = platform.target().settings.airflows[0].dags.version
    with platform.airflow() as api:
        run_id = api.trigger("slow_chain", {"until": "rolled"})
        wait_until(
            lambda: [task["state"] for task in api.tasks("slow_chain", run_id)].count("running") == 3,
            180,
            "three tasks run",
        )
    dags = platform.source / "dags-image" / "dags"
    broken = "from airflow.sdk import dag\nimport there_is_no_such_module\n"
    (dags / "broken.py").write_text(broken, encoding="utf-8")
    outcome = platform.up()
    assert outcome.changed
    after = platform.target().settings.airflows[0].dags.version
    assert before != after
    with platform.airflow() as api:
        api.post("/variables", {"key": "rolled", "value": "yes"})
        assert api.wait_for_run("slow_chain", run_id)["state"] == "success"
        api.delete("/variables/rolled")
        tasks = {task["task_id"]: task for task in api.tasks("slow_chain", run_id)}
        assert {task["try_number"] for task in tasks.values()} == {1}
        first = api.log("slow_chain", run_id, tasks["slow_0"])
        last = api.log("slow_chain", run_id, tasks["after"])
    assert f"slow 0 runs in image {before}" in first
    assert f"slow 0 ends in image {before}" in first
    assert f"after [0, 1, 2] runs in image {after}" in last


def test_a_dag_that_does_not_import_is_named_and_the_others_keep_running(platform: Platform) -> None:
    with platform.airflow() as api:
        wait_until(lambda: bool(api.import_errors()), 120, "the import error is reported")
        assert api.import_errors() == {"broken.py": "ModuleNotFoundError: No module named 'there_is_no_such_module'"}
        with pytest.raises(Failure, match="has no DAG 'broken'; these files do not import"):
            api.wait_for_dag("broken")
        run_id = api.trigger("says_much")
        assert api.wait_for_run("says_much", run_id)["state"] == "success"
    (platform.source / "dags-image" / "dags" / "broken.py").unlink()


def test_a_part_that_restarts_after_its_configuration_changed_comes_back(platform: Platform) -> None:
    core = client.CoreV1Api(platform.api_client())
    core.patch_namespaced_config_map("airflow-config", "airflow-main", {"data": {"note": "changed"}})
    see = ["ls", "/opt/airflow/platform"]
    wait_until(lambda: "note" in run_in(platform, "dag-processor", see), 150, "the pod sees its new configuration")
    run_in(platform, "dag-processor", ["bash", "-c", "kill 1"])
    wait_until(lambda: restarts(platform, "dag-processor") > 0, 60, "the dag-processor restarts")
    wait_until(lambda: ready(platform, "dag-processor"), 120, "the dag-processor comes back")
    core.patch_namespaced_config_map("airflow-config", "airflow-main", {"data": {"note": None}})


def test_the_liveness_probe_knows_a_living_part_from_one_without_heartbeat(platform: Platform) -> None:
    probe = ["python", "/opt/airflow/platform/heartbeat.py"]
    assert "allowed" in run_in(platform, "dag-processor", [*probe, "DagProcessorJob", "120"])
    with pytest.raises(Failure, match=r"heartbeat .* s ago, at most 0 s allowed"):
        run_in(platform, "dag-processor", [*probe, "DagProcessorJob", "0"])
    with pytest.raises(Failure, match="no running TriggererJob of"):
        run_in(platform, "dag-processor", [*probe, "TriggererJob", "120"])


def test_an_interrupted_up_says_so_and_the_next_one_goes_on_and_a_rotated_password_loses_nothing(
    platform: Platform,
) -> None:
    connection = {"connection_id": "kept", "conn_type": "http", "host": "example.com", "password": ODD_PASSWORD}
    with platform.airflow() as api:
        api.post("/connections", connection)

    def rotate(config: dict[str, Any]) -> None:
        config["airflows"][0]["rotations"] = {"databasePassword": 1, "adminPassword": 1}
        config["airflows"][0]["parallelism"] = 9
        config["database"]["administratorPasswordRotation"] = 1

    platform.change(rotate)
    old = platform.view().secret("airflow-main", "admin")["password"]
    process = platform.command("up", "--dag=says_much")
    output = interrupt(process, after="pulumi up, stack test", then=lambda: statefulset_is_rolling(platform))
    assert process.returncode in {1, 130}, output
    assert "interrupted" in output
    assert "Traceback" not in output, output
    again = platform.command("up", "--dag=says_much")
    said, _ = again.communicate(timeout=900)
    assert again.returncode == 0, said
    assert "says_much" in said
    assert platform.view().secret("airflow-main", "admin")["password"] != old
    with platform.airflow() as api:
        assert api.get("/connections/kept")["host"] == "example.com"
        assert api.get("/dags/slow_chain/dagRuns")["total_entries"] == 1


def test_a_password_with_any_character_works(platform: Platform) -> None:
    def give(config: dict[str, Any]) -> None:
        config["airflows"][0]["rotations"] = {}
        config["secrets"] = {"main": dict.fromkeys(("databasePassword", "adminPassword", "jwtSecret"), ODD_PASSWORD)}

    platform.change(give)
    platform.up()
    assert platform.view().secret("airflow-main", "admin")["password"] == ODD_PASSWORD
    with platform.airflow() as api:
        run_id = api.trigger("says_much")
        assert api.wait_for_run("says_much", run_id)["state"] == "success"


def test_an_up_that_is_killed_while_it_makes_things_is_mended_by_the_next_one(platform: Platform) -> None:
    def add(config: dict[str, Any]) -> None:
        config["airflows"].append(
            {**config["airflows"][0], "name": "other", "executor": "LocalExecutor", "parallelism": 4}
        )

    before = uids(platform, "airflow-main")
    platform.change(add)
    process = platform.command("up")
    wait_until(lambda: has_accounts(platform, "airflow-other"), 180, "the second Airflow is in the making")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    platform.up()
    assert "its lock is removed" in platform.output.getvalue()
    assert platform.up().changed == 0
    assert uids(platform, "airflow-main") == before  # nothing of the first one was touched


def test_a_second_airflow_with_the_local_executor_runs_dags_and_neither_reaches_the_others_database(
    platform: Platform,
) -> None:
    with platform.airflow("other") as api:
        api.wait_for_dag("example_mapped_regions")
        run_id = api.trigger("example_mapped_regions")
        assert api.wait_for_run("example_mapped_regions", run_id)["state"] == "success"
        assert {task["executor"] for task in api.tasks("example_mapped_regions", run_id)} <= {None, "LocalExecutor"}
    url = platform.view().secret("airflow-other", "database")["connection"]
    server = url.replace("+psycopg2", "").rpartition("/")[0]
    for database, expected in (("airflow_other", "fine"), ("airflow_main", "denied"), ("postgres", "denied")):
        said = run_pod(
            platform,
            "airflow-other",
            f"asks-for-{database.replace('_', '-')}",
            {"airflow-platform/database-client": "true"},
            ["python", "-c", f"import psycopg2; psycopg2.connect({server + '/' + database!r}); print('fine')"],
        )
        assert expected in said, (database, said)


def test_who_is_administrator_of_the_first_one_is_nobody_in_the_second(platform: Platform) -> None:
    token = token_of(door_of(platform), platform.view().secret("airflow-main", "admin"))
    said = {
        name: ask(door_of(platform, name), "/api/v2/dags", Authorization=f"Bearer {token}").status
        for name in ("main", "other")
    }
    assert said["main"] == 200
    assert said["other"] in {401, 403}


def test_no_pod_of_the_first_one_reaches_the_second_and_all_reach_what_is_their_own(platform: Platform) -> None:
    theirs = of_neighbour(platform, "airflow-other")
    database, kubernetes = "postgresql.postgresql.svc.cluster.local:5432", "kubernetes.default.svc:443"
    own = "api-server.airflow-main.svc.cluster.local:8080"
    found = reached_by_task(platform, [*theirs, own, database, kubernetes])
    assert found == {**dict.fromkeys([*theirs, database, kubernetes], DENIED), own: REACHED}
    for part in ("scheduler", "triggerer"):
        found = reached_by_part(platform, part, [*theirs, own, database])
        assert found == {**dict.fromkeys(theirs, DENIED), own: REACHED, database: REACHED}, part
    namespaces = "/api/v1/namespaces"
    answers = answers_of_kubernetes(
        platform,
        "scheduler",
        [
            f"{namespaces}/airflow-main/pods",
            f"{namespaces}/airflow-other/pods",
            f"{namespaces}/airflow-other/secrets/database",
            f"{namespaces}/postgresql/secrets/administrator",
        ],
    )
    assert list(answers.values()) == [200, 403, 403, 403], answers


def test_an_image_that_cannot_be_pulled_is_named_and_after_the_mend_all_is_well(platform: Platform) -> None:
    def wrong(config: dict[str, Any]) -> None:
        config["airflows"][1]["dags"] = {"kind": "image", "repository": "registry.invalid/dags", "version": "none"}

    with platform.changed(wrong):
        process = platform.command("up")
        said, _ = process.communicate(timeout=600)
    assert process.returncode == 1, said
    assert "registry.invalid/dags:none" in said
    assert re.search(r"Job other-(migrate|create-admin): ", said), said
    assert "Mend:" in said
    assert "Traceback" not in said, said
    platform.up()
    with platform.airflow("other") as api:
        assert api.get("/dags/example_mapped_regions/dagRuns")["total_entries"] == 1


def test_retiring_and_removing_an_airflow_leaves_the_other_as_it_is(platform: Platform) -> None:
    before = uids(platform, "airflow-main")
    platform.change(lambda config: config["airflows"][1].update(state="retired"))
    platform.up()
    assert uids(platform, "airflow-main") == before
    assert uids(platform, "airflow-other") == {}
    platform.change(lambda config: config["airflows"].pop())
    platform.up()
    assert uids(platform, "airflow-main") == before
    namespaces = client.CoreV1Api(platform.api_client()).list_namespace().items
    assert "airflow-other" not in {namespace.metadata.name for namespace in namespaces}


def test_the_whole_of_it_fits_into_two_and_a_half_gibibytes_when_idle(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(target(STACK, platform.progress, platform.stacks))
    said = capsys.readouterr().out
    found = re.search(r"database included: (\d+) MiB", said)
    assert found, said
    assert int(found[1]) <= 2560, said
    assert "nothing is wrong" in said


def test_down_leaves_nothing_behind_and_up_brings_everything_back(platform: Platform, tmp_path: Path) -> None:
    runs = "/dags/example_sales_report/dagRuns"
    with platform.airflow() as api:
        api.wait_for_dag("example_sales_report")
        before = api.get(runs)["total_entries"]
    platform.cluster.down()
    assert platform.cluster.leftovers() == []
    process = platform.command("status")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "does not answer" in said
    assert "Mend: `make up" in said
    assert "Traceback" not in said
    platform.cluster.up()
    with platform.airflow() as api:
        assert api.get(runs)["total_entries"] == before
    assert platform.up().changed == 0
