"""The settings of environments on Google Cloud: what is refused, and that it says how to mend it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from infra.settings import GkeCluster, SettingsError, parse
from tests.unit.stack_files import Tree, changed, settings, stack_config

STACKS = Path(__file__).resolve().parents[2] / "stacks"
CLOUD = ["dev", "staging", "prod"]


def problems(change: Callable[[Tree], object], stack: str = "prod") -> str:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config(stack), change))
    return str(refused.value)


@pytest.mark.parametrize("stack", CLOUD)
def test_a_stack_is_valid_once_its_placeholders_are_filled_in(stack: str) -> None:
    read = settings(stack_config(stack))
    assert isinstance(read.cluster, GkeCluster)
    assert read.ephemeral == (stack == "dev")


@pytest.mark.parametrize("stack", [*CLOUD, "bootstrap"])
def test_a_stack_that_still_has_placeholders_is_refused_and_every_one_is_named(stack: str) -> None:
    text = (STACKS / f"Pulumi.{stack}.yaml").read_text()
    whole = yaml.safe_load(text)["config"]
    config = {key.partition(":")[2]: json.dumps(value) for key, value in whole.items() if key.startswith("airflow-")}
    with pytest.raises(SettingsError) as refused:
        parse(config)
    said = str(refused.value)
    assert "is a placeholder. Put your own value there" in said
    placeholders = [line for line in text.splitlines() if "YOUR-" in line and not line.lstrip().startswith("#")]
    assert said.count("\n  - ") == len(placeholders)
    if stack != "bootstrap":
        assert "google.project: YOUR-" in said
        assert "airflows.main.dags.digest: YOUR-DAGS-DIGEST" in said


def cluster(tree: Tree) -> Tree:
    found: Tree = tree["cluster"]
    return found


def first(tree: Tree) -> Tree:
    found: Tree = tree["airflows"][0]
    return found


MISTAKES: list[tuple[Callable[[Tree], object], str]] = [
    (lambda t: t.pop("google"), "cluster: kind 'gke' is on Google Cloud, and nothing says where. Add 'google'"),
    (lambda t: t.pop("google"), "database: kind 'cloud-sql' is on Google Cloud"),
    (lambda t: t.pop("google"), "ingress.exposure: 'public' is a load balancer of Google's. Add 'google'"),
    (lambda t: t["google"].update(project="A"), 'google.project: "A" does not have the form'),
    (
        lambda t: t["google"].update(breakGlass="me"),
        'google.breakGlass: "me" does not have the form of a member as IAM writes it. Write group:',
    ),
    (
        lambda t: t["google"].update(escrowRegions=["europe-west1"]),
        "google.escrowRegions: one region is where the rest",
    ),
    (lambda t: cluster(t).update(zone="us-east1-b"), "cluster.zone: us-east1-b is not in google.region, europe-west1"),
    (
        lambda t: cluster(t)["nodePools"]["airflow"].update(minNodes=9),
        "cluster.nodePools.airflow.minNodes: 9 is more than maxNodes, 6",
    ),
    (
        lambda t: cluster(t)["nodePools"].update(system={"minNodes": 0}),
        "cluster.nodePools.system.minNodes: 0 leaves nowhere",
    ),
    (lambda t: cluster(t).update(taskPools={}), "cluster.taskPools: {} dictionary should have at least 1 item"),
    (lambda t: cluster(t).update(maxPodsPerNode=50), "cluster.maxPodsPerNode: 50 must be 16, 32, 64 or 110"),
    (
        lambda t: cluster(t).update(
            maintenance={"exclusions": [{"name": "x", "start": "2026-12-02T00:00:00Z", "end": "2026-12-01T00:00:00Z"}]}
        ),
        "cluster.maintenance.exclusions.x: ends before it starts",
    ),
    (lambda t: t.update(network={"kind": "vpc", "pods": "10.0.0.0/16"}), "network.nodes: 10.0.0.0/20 overlaps"),
    (
        lambda t: t.update(network={"kind": "vpc", "pods": "10.4.0.0/24"}),
        "network.pods: 10.4.0.0/24 has room for 2 nodes",
    ),
    (
        lambda t: t.update(cluster={"kind": "kubeconfig", "context": "mine"}),
        "Use cluster kind 'gke', or name an instance",
    ),
    (
        lambda t: t.update(cluster={"kind": "kubeconfig", "context": "mine"}, network={"kind": "vpc"}),
        "network: is for a cluster that is made here",
    ),
    (
        lambda t: t["database"].update(edition="ENTERPRISE_PLUS"),
        "database.tier: db-custom-4-15360 is not of the edition",
    ),
    (
        lambda t: t["database"].update(tier="db-huge"),
        'tier: "db-huge" does not have the form of a tier. Write db-custom-',
    ),
    (
        lambda t: cluster(t)["taskPools"].update(Large_={}),
        'cluster.taskPools: the name "Large_" does not have the form',
    ),
    (lambda t: first(t)["dags"].update(digest="v1"), 'digest: "v1" does not have the form of a digest. Write sha256:'),
    (
        lambda t: t["database"].update(pointInTimeRecoveryDays=14),
        "database.pointInTimeRecoveryDays: the edition ENTERPRISE keeps 7 at most",
    ),
    (lambda t: t["database"].update(pointInTimeRecoveryDays=0), "0 can't be combined with highAvailability"),
    (lambda t: t["database"].update(diskLimitGib=10), "database.diskLimitGib: 10 is less than diskGib, 20"),
    (lambda t: t["database"].update(flags={"max_connections": "9"}), "database.flags.max_connections: is set by"),
    (lambda t: t["database"].update(maxConnections=45), "database.maxConnections: 45 are too few for 1 Airflow"),
    (
        lambda t: t.update(airflows=[{**first(t), "name": f"team-{n}"} for n in range(12)]),
        "database.maxConnections: 480 are too few for 12 Airflows",
    ),
    (
        lambda t: t.update(database={"kind": "existing", "connectionName": "p:r:i", "maxConnections": 100}),
        "databaseAdministratorPassword: is missing",
    ),
    (lambda t: t.update(databaseAdministratorPassword="x"), "databaseAdministratorPassword: is for database kind"),
    (lambda t: first(t).update(taskPool="gpu"), "taskPool: there is no pool 'gpu'. Known are: default, large, spot"),
    (lambda t: first(t)["dags"].pop("digest"), "airflows.main.dags.digest: is missing"),
    (
        lambda t: first(t)["dags"].update(repository="docker.io/acme/dags"),
        "airflows.main.dags.repository: docker.io/acme/dags is not in the organisation's registry",
    ),
    (lambda t: first(t).update(taskLogs={"kind": "volume"}), "a volume that one node can mount ties every task"),
]


@pytest.mark.parametrize(("change", "expected"), MISTAKES)
def test_a_mistake_is_named_by_its_key_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    assert expected in problems(change)


def test_a_password_of_a_database_is_never_shown() -> None:
    assert "hunter2" not in problems(lambda t: t.update(databaseAdministratorPassword="hunter2"))


def test_what_needs_google_is_refused_on_a_stack_without_it() -> None:
    said = problems(lambda t: first(t).update(taskLogs={"kind": "gcs"}, largeXcoms=True), "local")
    assert "airflows.main.taskLogs.bucket: is missing" in said
    assert "airflows.main.largeXcoms: needs a bucket" in said


def test_an_existing_database_and_network_can_be_given_instead() -> None:
    tree = copy.deepcopy(stack_config("prod"))
    tree["network"] = {
        "kind": "existing",
        "hostProject": "acme-network",
        "network": "shared",
        "subnetwork": "airflow",
        "podsRange": "pods",
        "servicesRange": "services",
    }
    tree["database"] = {"kind": "existing", "connectionName": "acme-data:europe-west1:main", "maxConnections": 100}
    tree["databaseAdministratorPassword"] = "given"
    assert settings(tree).max_connections == 100


def test_what_pulumi_yaml_gives_to_every_stack_is_right_for_an_environment_and_for_the_bootstrap() -> None:
    project = yaml.safe_load((STACKS.parent / "Pulumi.yaml").read_text(encoding="utf-8"))
    given = {key.partition(":")[2]: entry.get("default") for key, entry in project["config"].items()}
    assert None not in given.values(), "pulumi would ask every stack for a key that has no default"
    for stack in ("local", "prod", "bootstrap"):
        tree = {**given, **stack_config(stack)}
        parse({key: json.dumps(value) for key, value in tree.items()})
