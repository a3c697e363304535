"""Environments that earlier versions of the program have made: what today's does to them. From stored states."""

from typing import Any

import pytest

from components.airflow import database
from testbed.progress import Failure
from tests.engine.stacks import OfflineStack, Steps
from tests.engine.store_state import STATES, stored

pytestmark = pytest.mark.engine
Tree = dict[str, Any]
LASTING = (
    "Cluster",
    "DatabaseInstance",
    "Bucket",
    "Network",
    "Subnetwork",
    "Address",
    "GlobalAddress",
    "Connection",
    "Secret",
    "Account",
    "Namespace",
    "PersistentVolumeClaim",
    "StatefulSet",
    "RandomBytes",
    "RandomId",
    "RandomPassword",
)
"""Kinds that hold something, or that something outside depends on by name."""


@pytest.fixture(scope="module", params=sorted(path.name.partition(".")[0] for path in STATES.glob("*.json.gz")))
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OfflineStack:
    """An environment as it was left by the program that stored it. Tests only preview."""
    return stored(request.param, tmp_path_factory.mktemp(request.param))


def taken_away(steps: Steps) -> list[str]:
    """What lasts and would not survive. Jobs are not of it: today's program may well replace an earlier one's."""
    return [name for name in steps.replaced_or_deleted if name.split()[0] in (*LASTING, "NodePool")]


def untouched(steps: Steps) -> None:
    assert taken_away(steps) == []


def first(tree: Tree) -> Tree:
    found: Tree = tree["airflows"][0]
    return found


def image(tree: Tree) -> None:
    first(tree)["dags"].update(version="v2.0.0", digest="sha256:" + "b2" * 32)


def pool_size(tree: Tree) -> None:
    tree["cluster"]["nodePools"]["airflow"]["maxNodes"] = 8
    tree["cluster"]["taskPools"]["default"]["maxNodes"] = 25


def machine_type(tree: Tree) -> None:
    tree["cluster"]["taskPools"]["default"]["machineType"] = "n2-standard-8"


def label(tree: Tree) -> None:
    tree["google"]["labels"] = {"cost-centre": "data"}


def maintenance_window(tree: Tree) -> None:
    tree["cluster"]["maintenance"] = {"days": ["SU"], "start": "04:00"}
    tree["database"]["maintenance"] = {"day": 1, "hour": 5}


def team(tree: Tree) -> None:
    tree["airflows"].append({**first(tree), "name": "team-b"})


def larger_database(tree: Tree) -> None:
    tree["database"].update(tier="db-custom-8-30720", diskGib=40)


def test_the_program_of_today_takes_nothing_away(environment: OfflineStack) -> None:
    untouched(environment.preview())


CHANGES = [image, pool_size, machine_type, label, maintenance_window, team, larger_database]


def test_ordinary_changes_replace_nothing_that_lasts(environment: OfflineStack) -> None:
    # All in one preview, which takes seconds; what failed would be named by its resource.
    def every(tree: Tree) -> None:
        for change in CHANGES:
            change(tree)

    steps = environment.preview(every)
    for updated in (
        "NodePool gke-airflow",
        "NodePool gke-tasks-default",
        "Cluster gke-cluster",
        "DatabaseInstance cloud-sql-instance",
        "Bucket main-bucket",
        "Deployment main-scheduler",
    ):
        assert steps.changed[updated] == ["update"], updated
    assert steps.changed["Namespace team-b-namespace"] == ["create"]
    untouched(steps)


def test_a_new_version_of_airflow_replaces_nothing_that_lasts(
    environment: OfflineStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "AIRFLOW", "3.4.0")
    steps = environment.preview(image)
    assert any(name.startswith("Job main-migrate") for name in steps.changed)
    untouched(steps)


def test_a_change_that_would_replace_what_lasts_is_refused_by_the_preview(environment: OfflineStack) -> None:
    with pytest.raises(Failure) as refused:
        environment.preview(lambda tree: tree["google"].update(region="europe-west4"))
    for resource in ("Subnetwork network-subnetwork", "Bucket main-bucket", "Address network-nat-0"):
        assert f"{resource}: unable to replace resource" in str(refused.value)


def test_the_search_for_replacements_does_find_one(environment: OfflineStack) -> None:
    steps = environment.preview(lambda tree: tree["cluster"]["taskPools"]["default"].update(spot=True))
    assert taken_away(steps) == ["NodePool gke-tasks-default"]
