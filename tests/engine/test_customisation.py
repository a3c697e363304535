"""What is added by hand, shapes and a backfill lane on the real engine: they come and go, and nothing else does."""

from pathlib import Path

import pytest

from tests.engine.stacks import offline_stack
from tests.unit.stack_files import Tree
from tests.unit.test_customisation import everything

pytestmark = pytest.mark.engine
JOBS = {"Job main-migrate", "Job main-create-admin", "Job main-reconcile"}
OWN = {"Secret main-extra-env", "Job main-backfill-pool"}


def by_hand(tree: Tree) -> None:
    everything(tree)
    tree["airflows"][0].update(taskShapes={"large": {"cpu": "2", "memory": "4Gi"}}, backfill={"slots": 8})


def test_they_are_made_and_taken_away_again_and_what_lasts_stays(tmp_path: Path) -> None:
    stack = offline_stack("local", tmp_path)
    stack.up()
    made = stack.up(by_hand)
    assert {name for name, ops in made.changed.items() if ops == ["create"]} == OWN
    # Jobs are named after what they run; everything else is changed in place.
    assert made.replaced_or_deleted.keys() == JOBS
    assert "Deployment main-scheduler" in made.changed
    assert stack.up(by_hand).changed == {}
    gone = stack.up()
    assert {name for name, ops in gone.changed.items() if ops == ["delete"]} == OWN
    assert gone.replaced_or_deleted.keys() == JOBS | OWN
