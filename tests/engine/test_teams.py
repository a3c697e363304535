"""A team joins, is retired, leaves: what the engine does to it, and that it does nothing to the other one. In order."""

from typing import Any

import pytest

from testbed.progress import Failure
from tests.engine.stacks import TAUGHT, WATCHING, OfflineStack, Steps, offline_stack

pytestmark = pytest.mark.engine
Tree = dict[str, Any]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> OfflineStack:
    """Production with one Airflow, up."""
    made = offline_stack("prod", tmp_path_factory.mktemp("prod"))
    made.up()
    return made


def joined(tree: Tree, name: str = "team-b", **more: Any) -> None:
    tree["airflows"].append({**tree["airflows"][0], "name": name, **more})


def retired(tree: Tree) -> None:
    joined(tree, state="retired")


def renamed(tree: Tree) -> None:
    joined(tree, "team-c")


def told_by_state(stack: OfflineStack, change: Any) -> str:
    """What a preview refuses, with the outputs that the state really has."""
    with stack.engine(change) as engine:
        del vars(engine.stack)["outputs"]
        with pytest.raises(Failure) as refused:
            engine.preview(lambda _: None)
    return str(refused.value)


def of_others(steps: Steps) -> dict[str, list[str]]:
    """What changed that is neither team-b's nor of all."""
    watching = {name for name in WATCHING if steps.changed.get(name, ["update"]) == ["update"]}
    of_all = watching | {name for name in TAUGHT if name.startswith("Job ") or steps.changed.get(name) == ["update"]}
    return {name: ops for name, ops in steps.changed.items() if "team-b" not in name and name not in of_all}


HOLD_SOMETHING = {"Account", "Bucket", "Namespace", "PersistentVolumeClaim", "RandomBytes", "StatefulSet"}


def test_a_team_that_joins_changes_nothing_of_the_other(stack: OfflineStack) -> None:
    steps = stack.up(joined)
    assert of_others(steps) == {}
    new = {name: ops for name, ops in steps.changed.items() if name not in {*WATCHING, *TAUGHT}}
    assert {tuple(ops) for ops in new.values()} == {("create",)}
    assert steps.changed["NetworkPolicy team-b-network-default-deny"] == ["create"]


def test_a_team_is_not_removed_without_being_retired(stack: OfflineStack) -> None:
    said = told_by_state(stack, None)
    assert "'team-b' is there and no longer in the stack file. An Airflow leaves in two steps" in said
    with pytest.raises(Failure) as refused:  # as the engine itself sees to it, without that look at the outputs
        stack.up()
    assert "Namespace team-b-namespace" in str(refused.value)
    assert "put it back with `state: retired`" in str(refused.value)
    assert stack.preview(joined).changed == {}, "the refused removal has changed something"


def test_a_renamed_team_is_refused(stack: OfflineStack) -> None:
    said = told_by_state(stack, renamed)
    assert "'team-b' is there and no longer in the stack file, which has 'team-c' instead" in said


def test_a_team_is_retired_and_then_removed_and_the_other_notices_neither(stack: OfflineStack) -> None:
    steps = stack.up(retired)
    assert of_others(steps) == {}
    # What ran beside it goes, Jobs and CronJobs and its PgBouncer; nothing that holds anything.
    assert {name.split()[0] for name in steps.replaced_or_deleted}.isdisjoint(HOLD_SOMETHING)
    for part in ("api-server", "scheduler", "dag-processor", "triggerer"):
        assert steps.changed[f"Deployment team-b-{part}"] == ["update"]
    assert steps.changed["Job team-b-export"] == ["create"]
    steps = stack.up()
    assert of_others(steps) == {}
    assert steps.changed["Namespace team-b-namespace"] == ["delete"]
    gone = {name: ops for name, ops in steps.changed.items() if name not in {*WATCHING, *TAUGHT}}
    assert {ops[0] for ops in gone.values()} == {"delete"}
    assert stack.up().changed == {}
