"""The stack `local` on the real engine: preview, up, up again, changes, destroy. No cluster is needed."""

import json
from pathlib import Path
from typing import Any

import pytest

from ops.stack_file import StackFile
from ops.target import Target
from testbed.progress import Failure
from tests.engine.stacks import OfflineStack, offline_stack

pytestmark = pytest.mark.engine
LASTING = ("ConfigMap", "Secret", "Service", "PersistentVolumeClaim", "Namespace", "StatefulSet", "ServiceAccount")
"""Kinds whose deletion would take something from running pods, or from their owner."""
Tree = dict[str, Any]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> OfflineStack:
    """The stack, up. Tests leave it in whatever shape; each says what it wants first."""
    made = offline_stack("local", tmp_path_factory.mktemp("local"))
    created = made.up()
    assert {tuple(ops) for ops in created.changed.values()} == {("create",)}
    assert len(created.changed) > 40
    return made


def first(tree: Tree) -> Tree:
    entry: Tree = tree["airflows"][0]
    return entry


def test_up_again_changes_nothing(stack: OfflineStack) -> None:
    stack.up()
    assert stack.up().changed == {}


def test_a_preview_shows_the_change_and_makes_none(stack: OfflineStack) -> None:
    lines: list[str] = []
    with stack.engine(lambda tree: first(tree).update(parallelism=7)) as engine:
        outcome = engine.preview(lines.append)
    assert outcome.changes.get("update"), outcome
    assert any("parallelism = 7" in line for line in lines)
    assert stack.up().changed == {}


def setting_and_image(tree: Tree) -> None:
    first(tree).update(parallelism=7)
    first(tree)["dags"].update(version="v2")


def generated_secrets(tree: Tree) -> None:
    first(tree).update(rotations={"databasePassword": 1, "jwtSecret": 1, "apiSecretKey": 1})


def secret_of_ones_own(tree: Tree) -> None:
    tree.update(secrets={"main": {"jwtSecret": "mine"}})


def database_server(tree: Tree) -> None:
    tree["database"].update(administratorPasswordRotation=1, maxConnections=150)
    tree.update(images={"overrides": {"postgres": "other:1"}})


def executor(tree: Tree) -> None:
    first(tree).update(executor="LocalExecutor")


@pytest.mark.parametrize(
    "change", [setting_and_image, generated_secrets, secret_of_ones_own, database_server, executor]
)
def test_a_change_restarts_pods_in_place_and_deletes_nothing_that_lasts(stack: OfflineStack, change: Any) -> None:
    steps = stack.up(change)
    rolled = steps.of_kind("Deployment", "StatefulSet")
    assert rolled, steps.changed
    assert all(ops == ["update"] for ops in rolled.values()), rolled
    for name, ops in steps.of_kind(*LASTING).items():
        # Accounts of task pods come and go with the executor; nothing else does.
        allowed = (["create"], ["delete"]) if name == "ServiceAccount main-task-service-account" else (["update"],)
        assert ops in allowed, (name, ops)


def test_a_changed_migration_is_a_new_job(stack: OfflineStack) -> None:
    steps = stack.up(lambda tree: first(tree)["dags"].update(version="v3"))
    assert steps.changed["Job main-migrate"] == ["delete-replaced", "replace", "create-replacement"]


def test_what_holds_a_scheduler_down_that_runs_tasks_and_makes_pods_comes_and_goes_with_that(
    stack: OfflineStack,
) -> None:
    both = {
        "ValidatingAdmissionPolicy main-task-pods-policy",
        "ValidatingAdmissionPolicyBinding main-task-pods-policy-binding",
    }

    def two_executors(tree: Tree) -> None:
        first(tree).update(executor=["KubernetesExecutor", "LocalExecutor"])

    stack.up()
    steps = stack.up(two_executors)
    assert {name for name, ops in steps.changed.items() if ops == ["create"]} == both
    assert stack.up(two_executors).changed == {}
    assert {name for name, ops in stack.up().changed.items() if ops == ["delete"]} == both


def test_adding_an_airflow_touches_nothing_of_the_first_but_its_share_of_connections(stack: OfflineStack) -> None:
    stack.up()
    steps = stack.up(lambda tree: tree["airflows"].append({**first(tree), "name": "team-b"}))
    touched = {name for name, ops in steps.changed.items() if ops != ["create"]}
    assert touched <= {"Job main-database-bootstrap", "Stack airflow-platform-local"}, touched


def test_a_wrong_setting_is_an_error_without_traceback_and_changes_nothing(stack: OfflineStack) -> None:
    stack.up()
    config = json.loads(json.dumps(stack.file.config))
    config["airflows"][0]["parallelism"] = "many"
    wrong = StackFile(stack.file.name, config, {}, {})
    # Past the check of the commands, as `pulumi up` would find it.
    unchecked = Target(wrong, stack.target().parsed, None)
    broken = OfflineStack(wrong, stack.home)
    broken.target = lambda change=None: unchecked  # type: ignore[method-assign]
    with broken.engine() as engine, pytest.raises(Failure) as refused:
        engine.up()
    text = str(refused.value)
    assert 'airflows.main.parallelism: "many" must be a valid integer' in text
    assert "Traceback" not in text
    assert stack.up().changed == {}


def test_no_secret_is_in_clear_in_the_state(stack: OfflineStack) -> None:
    given = "a secret of my own 12345"
    stack.up(lambda tree: tree.update(secrets={"main": {"adminPassword": given, "jwtSecret": given}}))
    with stack.engine() as engine:
        exported = engine.exported()
    state = "".join(path.read_text() for path in (stack.home / "state").rglob("*.json"))
    assert "main-admin-password" in state
    assert "ciphertext" in exported
    for text in (given, given.replace(" ", "%20")):
        assert text not in exported
        assert text not in state


def test_a_protected_stack_refuses_to_be_destroyed_and_says_what_to_do(tmp_path: Path) -> None:
    kept = offline_stack("local", tmp_path)
    kept.up(lambda tree: tree.update(ephemeral=False))
    with pytest.raises(Failure, match="protect") as refused:
        kept.destroy()
    assert "set ephemeral: true in the stack file" in str(refused.value)
    assert "interrupted" not in str(refused.value)
    unchanged = kept.up(lambda tree: tree.update(ephemeral=False))
    assert unchanged.changed == {}, "the refused destroy has deleted something"
    kept.up()  # the stack file says ephemeral: protection is lifted
    assert {tuple(ops) for ops in kept.destroy().changed.values()} == {("delete",)}


def test_a_passphrase_that_is_lost_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    mine = offline_stack("local", tmp_path)
    mine.up()
    (tmp_path / "passphrase").write_text("another one", encoding="utf-8")
    with pytest.raises(Failure, match="incorrect passphrase") as refused:
        mine.up()
    assert "Mend: log in to where the state is, or set PULUMI_CONFIG_PASSPHRASE" in str(refused.value)
    assert "stderr" not in str(refused.value)
    assert "Traceback" not in str(refused.value)
