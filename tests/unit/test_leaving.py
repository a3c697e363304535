"""An Airflow leaves in two steps, and is never renamed: what is recorded for a retired one, and what is refused."""

from typing import Any

import pytest

from ops.leaving import refuse_departures
from testbed.progress import Failure
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config


def retire(tree: Tree) -> None:
    tree["airflows"].append({**tree["airflows"][0], "name": "team-b", "state": "retired"})


@pytest.fixture(scope="module")
def prod() -> Recording:
    return deployed("prod", retire)


def test_a_retired_airflow_runs_nothing_and_the_others_run_on(prod: Recording) -> None:
    deployments = {name: one for name, one in prod.of("Deployment").items() if not name.startswith("ingress-")}
    replicas = {name: one.inputs["spec"]["replicas"] for name, one in deployments.items()}
    parts = ("api-server", "dag-processor", "scheduler", "triggerer")
    assert {name for name, count in replicas.items() if count == 0} == {f"team-b-{part}" for part in parts}
    assert all(count > 0 for name, count in replicas.items() if name.startswith("main-"))


def test_protection_is_lifted_for_the_retired_one_alone(prod: Recording) -> None:
    def protected(airflow: str) -> set[str]:
        return {r.name for r in prod.resources if r.protect and airflow in r.name}

    assert protected("team-b") == set()
    assert protected("main") == {"main-namespace", "main-fernet-key", "main-bucket", "escrow-fernet-key-main"}
    both = deployed("prod", lambda tree: tree["airflows"].append({**tree["airflows"][0], "name": "team-b"}))
    before = {(r.kind, r.name) for r in both.resources if r.protect}
    now = {(r.kind, r.name) for r in prod.resources if r.protect}
    assert before - now == {
        ("Namespace", "team-b-namespace"),
        ("RandomBytes", "team-b-fernet-key"),
        ("Bucket", "team-b-bucket"),
        ("Secret", "escrow-fernet-key-team-b"),
    }


def test_its_bucket_and_its_key_in_escrow_stay_when_it_goes(prod: Recording) -> None:
    kept = {(r.kind, r.name) for r in prod.resources if r.retained}
    assert kept == {
        ("Bucket", "team-b-bucket"),
        ("Secret", "escrow-fernet-key-team-b"),
        ("SecretVersion", "escrow-fernet-key-team-b"),
        ("SecretIamBinding", "escrow-fernet-key-team-b"),
        ("SecretIamMember", "escrow-fernet-key-team-b-list"),
    }

    def rules(airflow: str) -> list[str]:
        made = prod.one("Bucket", f"{airflow}-bucket").inputs["lifecycleRules"]
        return [rule["action"]["type"] for rule in made]

    assert rules("main") == ["Delete", "AbortIncompleteMultipartUpload"]
    assert rules("team-b") == ["AbortIncompleteMultipartUpload"]
    assert prod.one("Bucket", "team-b-bucket").inputs["forceDestroy"] is False


def test_where_everything_may_be_thrown_away_nothing_of_it_is_retained() -> None:
    def throwaway(tree: Tree) -> None:
        retire(tree)
        tree["ephemeral"] = True

    assert not [r.name for r in deployed("prod", throwaway).resources if r.retained]


def test_its_database_is_exported_to_its_bucket_once_its_parts_are_down(prod: Recording) -> None:
    job = prod.one("Job", "team-b-export")
    assert {f"team-b-{part}" for part in ("api-server-service", "scheduler", "dag-processor", "triggerer")} <= (
        job.dependencies
    )
    spec = job.inputs["spec"]["template"]["spec"]
    proxy, dump = spec["initContainers"]
    assert proxy["name"] == "cloud-sql-proxy"
    assert dump["command"] == ["pg_dump", "--format=custom", "--file=/export/database.dump"]
    named = {one["name"]: one.get("value") for one in dump["env"]}
    assert (named["PGUSER"], named["PGDATABASE"], named["PGHOST"]) == ("airflow_team_b", "airflow_team_b", "127.0.0.1")
    (upload,) = spec["containers"]
    bucket = prod.one("Bucket", "team-b-bucket").inputs["name"]
    assert upload["command"][-3:] == ["/export/database.dump", bucket, "exports/airflow_team_b"]
    accounts = {one.inputs["metadata"]["name"] for one in prod.of("ServiceAccount").values()}
    assert spec["serviceAccountName"] in accounts
    assert "main-export" not in prod.of("Job")


def test_without_a_bucket_there_is_no_export() -> None:
    recording = deployed("local", lambda tree: tree["airflows"][0].update(state="retired"))
    assert not [name for name in recording.of("Job") if name.endswith("-export")]
    parts = {name: one.inputs["spec"]["replicas"] for name, one in recording.of("Deployment").items()}
    assert {replicas for name, replicas in parts.items() if name.startswith("main-")} == {0}


OUTPUTS: dict[str, Any] = {"airflows": {"main": {"state": "active"}, "team-b": {"state": "active"}}}


def refused(stack: str, names: tuple[str, ...], outputs: dict[str, Any]) -> str:
    def change(tree: Tree) -> None:
        tree["airflows"] = [{**tree["airflows"][0], "name": name} for name in names]

    try:
        refuse_departures(stack, outputs, settings(changed(stack_config(stack), change)))
    except Failure as failure:
        return str(failure)
    return ""


def test_removal_without_retirement_is_refused_with_the_two_steps() -> None:
    said = refused("prod", ("main",), OUTPUTS)
    assert "'team-b' is there and no longer in the stack file. An Airflow leaves in two steps" in said
    assert "`state: retired`" in said
    assert refused("prod", ("main", "team-b"), OUTPUTS) == ""
    retired = {"airflows": {**OUTPUTS["airflows"], "team-b": {"state": "retired"}}}
    assert refused("prod", ("main",), retired) == ""
    earlier = {"airflows": {"main": {}, "team-b": {}}}  # of a program that knew no states
    assert "'team-b'" in refused("prod", ("main",), earlier)


def test_where_everything_may_be_thrown_away_an_airflow_may_simply_be_removed() -> None:
    assert refused("local", ("main",), OUTPUTS) == ""


@pytest.mark.parametrize(("stack", "step"), [("prod", "retire it first"), ("local", "remove it first")])
def test_a_renamed_airflow_is_an_error_that_names_both_and_the_ways(stack: str, step: str) -> None:
    said = refused(stack, ("main", "team-c"), OUTPUTS)
    assert "'team-b' is there and no longer in the stack file, which has 'team-c' instead" in said
    assert "would be new and empty" in said
    assert step in said


def test_a_new_airflow_beside_one_that_was_retired_and_a_first_one_are_no_rename() -> None:
    retired = {"airflows": {"main": {"state": "active"}, "team-b": {"state": "retired"}}}
    assert refused("prod", ("main", "team-c"), retired) == ""
    assert refused("prod", ("main",), {}) == ""
