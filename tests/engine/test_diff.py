"""The offline diff: what real changes do to production, and that it says so plainly, to people and programs alike."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ops.diff import brought_up, diff, laid_out
from ops.diff_render import FORMATS
from ops.diff_report import ALLOWING_LABEL, Report
from ops.offline import offline, offline_file
from testbed.progress import Failure, Progress
from tests.engine.projects import PROGRAM, Project, Tree, copied
from tests.engine.stacks import TAUGHT, WATCHING

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return copied(tmp_path_factory.mktemp("project") / "tree", *PROGRAM)


def first(tree: Tree) -> Tree:
    found: Tree = tree["airflows"][0]
    return found


def task_pools(tree: Tree) -> Tree:
    found: Tree = tree["cluster"]["taskPools"]
    return found


NOTHING: dict[str, str] = {}
CONFIGURATION = {
    "ConfigMap main-config": "update",
    **{f"Deployment main-{part}": "update" for part in ("api-server", "dag-processor", "scheduler", "triggerer")},
    **{f"CronJob main-{job}": "update" for job in ("clean-task-pods", "db-clean", "reconcile")},
    **{f"Job main-{job}": "replace" for job in ("create-admin", "migrate", "reconcile")},
}
"""What another configuration or image of an Airflow rolls. Jobs are named after what they run."""

TOLD = dict.fromkeys(WATCHING, "update")
"""Another list of Airflows, or another address of one."""

SEPARATE: dict[str, tuple[Callable[[Tree], object], dict[str, str]]] = {
    "another comment": (lambda tree: None, NOTHING),
    "size of a node pool": (
        lambda tree: tree["cluster"]["nodePools"]["airflow"].update(maxNodes=8),
        {"NodePool gke-airflow": "update"},
    ),
    "machine type of a pool": (
        lambda tree: task_pools(tree)["default"].update(machineType="n2-standard-8"),
        {"NodePool gke-tasks-default": "update"},
    ),
    "spot nodes for a pool": (
        lambda tree: task_pools(tree)["large"].update(spot=True),
        {"NodePool gke-tasks-large": "replace"},
    ),
    "new pool": (lambda tree: task_pools(tree).update(gpu={"maxNodes": 2}), {"NodePool gke-tasks-gpu": "create"}),
    "pool gone": (lambda tree: task_pools(tree).pop("spot"), {"NodePool gke-tasks-spot": "delete"}),
    "release channel": (
        lambda tree: tree["cluster"].update(releaseChannel="STABLE"),
        {"Cluster gke-cluster": "update"},
    ),
    "retention of the cluster's backups": (
        lambda tree: tree["cluster"].update(backup={"retainDays": 60}),
        {"BackupPlan gke-backup": "update"},
    ),
    "database tier": (
        lambda tree: tree["database"].update(tier="db-custom-8-30720"),
        {"DatabaseInstance cloud-sql-instance": "update"},
    ),
    "disk of the database, which grows by itself": (lambda tree: tree["database"].update(diskGib=40), NOTHING),
    "retention of task logs": (lambda tree: first(tree).update(logsKeptDays=30), {"Bucket main-bucket": "update"}),
    "retention of runs": (
        lambda tree: first(tree).update(housekeeping={"keepRunsDays": 180}),
        {"CronJob main-db-clean": "update"},
    ),
    "quota": (
        lambda tree: first(tree).update(quota={"cpu": "200", "memory": "400Gi"}),
        {"LimitRange main-limits": "create", "ResourceQuota main-quota": "create"},
    ),
    "another outgoing address": (
        lambda tree: tree.update(network={"kind": "vpc", "natAddresses": 3}),
        {"Address network-nat-2": "create", "RouterNat network-nat": "update"},
    ),
}
"""Changes that touch nothing of one another's: what each does, to the resource. One preview shows them all."""


def effects(report: Report) -> dict[str, str]:
    return {one.title: one.operation for one in report.resources}


def test_changes_that_touch_one_thing_each_do_to_it_what_the_table_says(project: Project) -> None:
    report = project.changed(*(change for change, _ in SEPARATE.values()))
    expected = {title: operation for _, effect in SEPARATE.values() for title, operation in effect.items()}
    assert effects(report) == expected
    assert report.passes
    assert report.unchanged > 80


def more_tasks(tree: Tree) -> None:
    first(tree)["parallelism"] = 40


def test_a_new_image_and_more_tasks_at_once_roll_airflow_and_nothing_else(project: Project) -> None:
    def image(tree: Tree) -> None:
        first(tree)["dags"].update(version="v2.0.0", digest="sha256:" + "b2" * 32)

    report = project.changed(image, more_tasks)
    # What looks for backups runs on the same image.
    assert effects(report) == {**CONFIGURATION, "CronJob backup-check-cron": "update"}
    assert report.passes
    shown = FORMATS["text"](report)
    assert "+instance_name = prod / main (DAGs v2.0.0)" in shown
    assert shown.splitlines()[1] == f"9 changed, 3 replaced ({report.unchanged} unchanged)"


def test_another_domain_moves_the_way_in_rolls_airflow_and_loses_nothing(project: Project) -> None:
    report = project.changed(lambda tree: tree["ingress"].update(domain="data.acme.example"))
    assert report.passes
    assert not report.at_stake
    found = effects(report)
    assert CONFIGURATION.items() <= found.items()
    known = {*CONFIGURATION, *TOLD, "ConfigMap log-store-kibana-config"}
    others = {title.partition(" ")[0] for title in found.keys() - known}
    assert others <= {"CertRequest", "Deployment", "Ingress", "LocallySignedCert", "Secret"}, sorted(found)


def test_a_new_team_is_new_and_the_other_does_not_notice(project: Project) -> None:
    report = project.changed(lambda tree: tree["airflows"].append({**first(tree), "name": "team-b"}))
    assert report.passes
    assert report.counts["create"] > 60
    others = {title: operation for title, operation in effects(report).items() if "team-b" not in title}
    # Its annotation comes from what also waits for the new team's; the update itself finds it unchanged.
    assert others == {"ServiceAccount main-database-bootstrap-service-account": "update", **TOLD, **TAUGHT}


def test_a_renamed_team_is_refused(project: Project) -> None:
    report = project.changed(lambda tree: first(tree).update(name="data"), allow=ALLOWING_LABEL)
    assert "An Airflow can't be renamed" in report.refused[0]
    lost = {"Bucket main-bucket", "Namespace main-namespace", "RandomBytes main-fernet-key"}
    assert lost < {one.title for one in report.at_stake}
    assert not report.passes, "a label does not help: `up` refuses"
    assert "REFUSED: stack prod: airflows: 'main' is there" in FORMATS["text"](report)


def test_a_retired_team_stops_and_keeps_what_it_has(project: Project) -> None:
    report = project.changed(lambda tree: first(tree).update(state="retired"))
    assert report.at_stake == []
    assert report.passes
    assert effects(report)["Job main-export"] == "create"
    assert effects(report)["Deployment main-scheduler"] == "update"
    assert effects(report)["CronJob main-db-clean"] == "delete"


def test_new_keys_and_passwords_roll_what_uses_them(project: Project) -> None:
    def rotated(tree: Tree) -> None:
        first(tree)["rotations"] = {"fernetKey": 1}
        tree["database"]["administratorPasswordRotation"] = 1

    report = project.changed(rotated)
    assert (
        effects(report).items()
        >= {
            "RandomBytes main-fernet-key-1": "create",
            "Secret main-keys": "update",
            "Deployment main-scheduler": "update",
            "RandomPassword cloud-sql-administrator": "replace",
            "User cloud-sql-administrator": "update",
            "Job main-database-bootstrap": "replace",
        }.items()
    )
    assert report.passes
    shown = "".join(render(report) for render in FORMATS.values())
    assert "[secret]" in shown
    secrets = state_secrets(project)
    assert len(secrets) > 10
    assert [value for value in secrets if value in shown] == []


def state_secrets(project: Project) -> set[str]:
    """Every secret in the base's state, in clear."""
    home = project.tree.parent / "opened"
    base = brought_up(project.tree, "prod", "HEAD", project.git("rev-parse", "HEAD"), Progress())
    laid_out(base, "prod", home)
    with offline(project.tree, "prod", offline_file(project.tree, "prod"), home, Progress()) as run:
        workspace = run.engine.workspace
        arguments = ["stack", "export", "--show-secrets", "--stack", "prod"]
        exported = workspace.pulumi_command.run(arguments, workspace.work_dir, dict(workspace.env_vars)).stdout
    shutil.rmtree(home)
    return set(plaintexts(json.loads(exported)))


def plaintexts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "plaintext" in node:
            yield from (value for value in leaves(json.loads(node["plaintext"])) if len(value) >= 12)
        for inner in node.values():
            yield from plaintexts(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from plaintexts(inner)


def leaves(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for inner in node.values():
            yield from leaves(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from leaves(inner)
    elif isinstance(node, str) and not re.fullmatch(r"[a-z0-9_.-]*", node):  # names of roles and hosts are none
        yield node


AT_STAKE: list[tuple[str, Callable[[Tree], object], set[str]]] = [
    (
        "region",
        lambda tree: tree["google"].update(region="europe-west4"),
        {
            "Address ingress-address",
            "Address network-nat-0",
            "Address network-nat-1",
            "BackupPlan gke-backup",
            "Bucket log-snapshots-bucket",
            "Bucket main-bucket",
            "Cluster gke-cluster",
            "DatabaseInstance cloud-sql-instance",
            "Namespace database-namespace",
            "Namespace ingress-namespace",
            "Namespace log-store-namespace",
            "Namespace logs-namespace",
            "Namespace main-namespace",
            "Namespace metrics-namespace",
            "StatefulSet log-store-elasticsearch",
            "StatefulSet metrics-alertmanager",
            "StatefulSet metrics-prometheus",
            "Subnetwork network-subnetwork",
        },
    ),
    (
        "one zone instead of a region",
        lambda tree: (tree["cluster"].update(zone="europe-west1-b"), tree["logs"].update(spread="anywhere")),
        {
            "BackupPlan gke-backup",
            "Cluster gke-cluster",
            "Namespace database-namespace",
            "Namespace ingress-namespace",
            "Namespace log-store-namespace",
            "Namespace logs-namespace",
            "Namespace main-namespace",
            "Namespace metrics-namespace",
            "StatefulSet log-store-elasticsearch",
            "StatefulSet metrics-alertmanager",
            "StatefulSet metrics-prometheus",
        },
    ),
    (
        "addresses of nodes",
        lambda tree: tree.update(network={"kind": "vpc", "nodes": "10.1.0.0/20"}),
        {"BackupPlan gke-backup", "Cluster gke-cluster", "Subnetwork network-subnetwork"},
    ),
]


@pytest.mark.parametrize(("what", "change", "lost"), AT_STAKE, ids=[what for what, _, _ in AT_STAKE])
def test_what_would_replace_what_holds_something_is_flagged(
    project: Project, what: str, change: Callable[[Tree], object], lost: set[str]
) -> None:
    report = project.changed(change)
    assert {one.title for one in report.at_stake} == lost, what
    assert all(one.protected for one in report.at_stake)
    assert not report.passes
    assert report.resources[0].loses_something, "the worst does not come first"
    markdown = FORMATS["markdown"](report)
    assert markdown.splitlines()[1].startswith("### 🔴 ")
    assert f"WHAT HOLDS SOMETHING WOULD BE GONE: {len(lost)} resources" in markdown
    assert f"label the pull request {ALLOWING_LABEL}" in markdown


def test_the_label_lets_it_pass(project: Project) -> None:
    report = project.changed(lambda tree: tree["cluster"].update(maxPodsPerNode=32), allow=ALLOWING_LABEL)
    assert {one.title for one in report.at_stake} == {"Cluster gke-cluster", "BackupPlan gke-backup"}
    assert report.passes


def test_lifted_protection_replaces_nothing_and_is_seen(project: Project) -> None:
    report = project.changed(lambda tree: tree.update(ephemeral=True))
    assert set(effects(report).values()) == {"update"}
    assert effects(report)["DatabaseInstance cloud-sql-instance"] == "update"
    assert "deletionProtection: true -> false" in FORMATS["text"](report)


def test_a_guardrail_that_a_change_breaks_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from components import workload

    made = vars(workload)["_container"]
    monkeypatch.setattr(workload, "_container", lambda spec: {**made(spec), "image": "docker.io/library/x:latest"})
    report = project.changed()
    assert any("docker.io/library/x:latest has no digest" in one for one in report.violations)
    assert not report.passes


def test_secrets_that_only_pulumi_can_read_are_named_when_they_change(project: Project) -> None:
    given = {"main": {"adminPassword": {"secure": "v1:abc:def"}}}
    report = project.changed(lambda tree: tree.update(secrets=given))
    assert report.secrets == ("secrets.main.adminPassword",)
    assert effects(report)["RandomPassword main-admin-password"] == "delete"
    assert "v1:abc" not in "".join(render(report) for render in FORMATS.values())


def test_a_stack_that_the_base_does_not_have_is_all_new(project: Project) -> None:
    stacks = project.tree / "stacks"
    shutil.copy(stacks / "Pulumi.local.yaml", stacks / "Pulumi.other.yaml")
    try:
        report = diff("other", "HEAD", Progress(), (), project.tree)
    finally:
        (stacks / "Pulumi.other.yaml").unlink()
    assert set(effects(report).values()) == {"create"}
    assert report.passes


BAD: list[tuple[str, str, Callable[[Tree], object], str]] = [
    ("no-such-branch", "prod", lambda tree: None, r"no revision 'no-such-branch' here.\nMend: `git fetch origin`"),
    ("--output=x", "prod", lambda tree: None, "no revision '--output=x' here"),
    ("", "prod", lambda tree: None, "which revision to compare with is not said"),
    ("HEAD", "prod", lambda tree: tree["cluster"].update(nodePolls={}), "Did you mean 'nodePools'?"),
]


@pytest.mark.parametrize(("base", "stack", "change", "said"), BAD, ids=["absent", "option", "empty", "misspelled"])
def test_what_cannot_be_compared_is_said_with_the_mend(
    project: Project, base: str, stack: str, change: Callable[[Tree], object], said: str
) -> None:
    with pytest.raises(Failure) as failed:
        project.changed(change, base=base)
    assert re.search(said, str(failed.value)), failed.value
    assert "Traceback" not in str(failed.value)


def test_a_stack_that_is_not_there_is_said_so(project: Project) -> None:
    with pytest.raises(Failure, match=r"no stack 'pord' in the working tree.\nMend: STACK= one of bootstrap, dev"):
        diff("pord", "HEAD", Progress(), (), project.tree)
