"""The guardrails as a policy pack, asked by the real engine: what a preview of a person's runs into."""

from pathlib import Path
from typing import Any

import pytest

from ops.engine import Engine
from ops.stack_file import ROOT
from testbed.progress import Failure
from tests.engine.stacks import Change, OfflineStack, offline_stack

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> OfflineStack:
    return offline_stack("prod", tmp_path_factory.mktemp("prod"))


def previewed(stack: OfflineStack, change: Change | None = None) -> None:
    with stack.engine(change) as engine:
        assert isinstance(engine, Engine)
        engine.policy_packs = [ROOT / "policy" / "pack"]
        engine.preview(lambda _: None)


def test_production_passes(stack: OfflineStack) -> None:
    previewed(stack)


def test_what_breaks_a_guardrail_stops_the_preview(stack: OfflineStack, monkeypatch: pytest.MonkeyPatch) -> None:
    from components import workload

    made: Any = vars(workload)["_container"]
    monkeypatch.setattr(workload, "_container", lambda spec: {**made(spec), "resources": {}})
    with pytest.raises(Failure) as refused:
        previewed(stack)
    said = str(refused.value)
    assert "Deployment main-scheduler" in said
    assert "requests.cpu, requests.memory, limits.cpu, limits.memory missing" in said
    assert "Mend: " in said


def test_an_environment_to_throw_away_needs_no_protection(stack: OfflineStack) -> None:
    previewed(stack, lambda tree: tree.update(ephemeral=True))


def test_the_pack_can_be_run_by_anybody() -> None:
    assert Path(ROOT / "policy" / "pack").stat().st_mode & 0o111
