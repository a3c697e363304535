"""The live preview and drift, on the engine with stand-ins: the same report as the offline diff gives."""

from pathlib import Path
from typing import Any

import pytest

from ops.diff_render import FORMATS, from_json
from ops.live import drift, live_preview
from ops.stack_file import ROOT
from testbed.engine.gcp import GcpStandIn
from testbed.progress import Failure
from tests.engine.stacks import OfflineStack, offline_stack

pytestmark = pytest.mark.engine
PACK = ROOT / "policy" / "pack"
Tree = dict[str, Any]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> OfflineStack:
    made = offline_stack("prod", tmp_path_factory.mktemp("prod"))
    made.up()
    return made


def larger(tree: Tree) -> None:
    tree["database"]["tier"] = "db-custom-8-30720"


def elsewhere(tree: Tree) -> None:
    tree["google"]["region"] = "europe-west4"


def test_a_live_preview_says_what_up_would_do(stack: OfflineStack) -> None:
    with stack.engine(larger) as engine:
        report = live_preview(engine, PACK)
    assert [(one.title, one.operation) for one in report.resources] == [
        ("DatabaseInstance cloud-sql-instance", "update")
    ]
    assert report.passes
    assert "### Stack `prod`: live preview against `its state`" in FORMATS["markdown"](report)
    assert from_json(FORMATS["json"](report)) == report


def test_a_live_preview_refuses_what_is_protected(stack: OfflineStack) -> None:
    with stack.engine(elsewhere) as engine, pytest.raises(Failure, match="Bucket main-bucket: unable to replace"):
        live_preview(engine, PACK)


def test_where_nothing_was_changed_by_hand_there_is_no_drift(stack: OfflineStack) -> None:
    with stack.engine() as engine:
        report = drift(engine)
    assert report.empty
    assert report.unchanged > 90


def test_what_was_changed_by_hand_is_found_and_nothing_is_changed(
    stack: OfflineStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_hand(_: object, kind: str, state: Tree) -> Tree:
        if not kind.endswith(":DatabaseInstance"):
            return state
        return {**state, "settings": {**state["settings"], "tier": "db-custom-1-3840"}}

    monkeypatch.setattr(GcpStandIn, "read", by_hand)
    with stack.engine() as engine:
        report = drift(engine)
    (database,) = report.resources
    assert [(one.path, one.old, one.new) for one in database.changes] == [
        ("settings.tier", "db-custom-4-15360", "db-custom-1-3840")
    ]
    assert not report.empty
    monkeypatch.undo()
    assert stack.preview().changed == {}


def test_the_commands_say_what_is_wrong_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ops.live import main

    assert main(["drift", "--stack=nowhere", f"--stacks={tmp_path}"]) == 1
    assert "there is no stack 'nowhere'" in capsys.readouterr().err
