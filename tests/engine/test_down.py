"""A stack with a cluster of its own goes from the inside out, on the real engine; nothing reaches a cloud."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.dev import template
from ops.dev_config import Asked, stack_for
from ops.down import CLUSTER, destroy
from ops.engine import Engine, engine_on
from ops.stack_file import read
from ops.target import Target
from testbed.engine.choice import Purpose
from testbed.progress import Failure, Progress
from tests.filled import filled

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ASKED = Asked("alice", "al@x.io", timedelta(hours=8))


def types_in(engine: Engine) -> set[str]:
    return {one["type"] for one in json.loads(engine.exported())["deployment"].get("resources", [])}


def in_cluster(types: set[str]) -> set[str]:
    return {one for one in types if one.startswith("kubernetes:") or one == "pulumi:providers:kubernetes"}


def test_what_is_in_the_cluster_goes_first_then_what_it_holds_outside_then_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_PLATFORM_STATE", str(tmp_path / "machine"))
    file = read("dev")
    config = filled(file.config) | {"devStacks": {"connections": 120, "cpu": "2"}}
    config["database"]["maxConnections"] = 200
    base = file.with_config(config)
    on, progress = Target(base, base.parsed, None), Progress()
    with engine_on(on, progress, Purpose.TEST, tmp_path, offline=True) as engine:
        engine.up()
        outputs = engine.outputs()
    child = stack_for(base.name, template(), outputs, ASKED, NOW)
    with engine_on(Target(child, child.parsed, None), progress, Purpose.TEST, tmp_path, offline=True) as engine:
        engine.up()

    with engine_on(on, progress, Purpose.TEST, tmp_path, offline=True) as engine:
        before = types_in(engine)
        assert in_cluster(before)
        with pytest.raises(Failure, match=r"dev stacks stand on it: alice. Nothing was deleted.\nMend: make dev-down"):
            destroy(engine, on, progress, lambda *_: pytest.fail("it let go of what a dev stack uses"))
        assert types_in(engine) == before
    with engine_on(Target(child, child.parsed, None), progress, Purpose.TEST, tmp_path, offline=True) as engine:
        engine.destroy()
        engine.stack.workspace.remove_stack(child.name)

    with engine_on(on, progress, Purpose.TEST, tmp_path, offline=True) as engine:
        at_letting_go: list[set[str]] = []

        def interrupted(*_: object) -> None:
            at_letting_go.append(types_in(engine))
            assert on.kubeconfig is not None
            assert on.kubeconfig.is_file(), "without it nobody reaches the cluster"
            raise Failure("interrupted")

        with pytest.raises(Failure, match="interrupted"):
            destroy(engine, on, progress, interrupted)
        destroy(engine, on, progress, lambda *_: at_letting_go.append(types_in(engine)))
        assert types_in(engine) == set()
    assert [in_cluster(types) for types in at_letting_go] == [set(), set()]
    assert all(CLUSTER in types for types in at_letting_go), "the cluster went before what it holds"
