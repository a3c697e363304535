"""Dev stacks on the real engine: a base, and beside it what stands on it, in one backend."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.dev import template
from ops.dev_config import Asked, extended, stack_for
from ops.dev_leases import Lease, dev_stacks, lease_in
from ops.engine import Engine, engine_on
from ops.stack_file import StackFile, read
from ops.target import Target
from testbed.engine.choice import Purpose
from testbed.progress import Progress
from tests.engine.stacks import Steps
from tests.filled import filled

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DEV = {"connections": 120, "cpu": "2"}


@dataclass
class Pair:
    """A base in ``home``, and a dev stack on it."""

    base: StackFile
    home: Path

    @contextmanager
    def engine(self, file: StackFile | None = None) -> Iterator[Engine]:
        stack = file or self.base
        on = Target(stack, stack.parsed, None)
        with engine_on(on, Progress(), Purpose.TEST, self.home, offline=True) as engine:
            yield engine

    def up(self, file: StackFile | None = None) -> Steps:
        steps = Steps()
        with self.engine(file) as engine:
            engine.up(steps.event)
        return steps

    def outputs(self) -> dict[str, Any]:
        with self.engine() as engine:
            return engine.outputs()

    def child(self, name: str = "alice") -> StackFile:
        return stack_for(self.base.name, template(), self.outputs(), Asked(name, "al@x.io", timedelta(hours=8)), NOW)

    def lease(self, stack: str) -> Lease:
        with self.engine() as engine:
            found = dev_stacks(engine).named(stack)
        assert found
        return found

    def state(self, stack: str) -> dict[str, Any]:
        with self.engine() as engine:
            exported: dict[str, Any] = json.loads(engine.exported(stack))
        return exported


@pytest.fixture(scope="module", params=["local", "dev"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    file = read(request.param)
    config = filled(file.config) | {"devStacks": DEV}
    config["database"]["maxConnections"] = 200
    made = Pair(file.with_config(config), tmp_path_factory.mktemp(request.param))
    made.up()
    return made


def test_a_dev_stack_comes_extends_and_goes_and_its_base_does_not_change(pair: Pair) -> None:
    before = pair.state(pair.base.name)["deployment"]["resources"]
    child = pair.child()
    made = pair.up(child)
    assert made.by_resource["Secret dev-alice-database-request"] == ["create"]
    assert "Job dev-alice-database-bootstrap" not in made.by_resource
    assert pair.up(child).changed == {}

    lease = pair.lease(child.name)
    assert (lease.name, lease.owner, lease.expires) == ("alice", "al@x.io", NOW + timedelta(hours=8))
    # From the state alone, on a machine that has no file of it.
    longer = pair.up(extended(lease, NOW + timedelta(hours=20)))
    assert set(longer.changed) <= {"Lease lease", f"Stack airflow-platform-{child.name}"}
    assert pair.lease(child.name).expires == NOW + timedelta(hours=20)

    with pair.engine(child) as engine:
        engine.destroy()
    assert pair.state(child.name)["deployment"].get("resources") in (None, [])
    assert pair.state(pair.base.name)["deployment"]["resources"] == before
    assert pair.up().changed == {}


def test_no_dev_stack_holds_the_administrators_password(pair: Pair) -> None:
    child = pair.child("bob")
    pair.up(child)
    resources = pair.state(child.name)["deployment"]["resources"]
    kinds = {resource["type"].rpartition(":")[2] for resource in resources}
    assert not kinds & {"DatabaseAdministration", "Postgresql", "User", "PriorityClass"}
    # A pod of its can mount what is in its own namespace only; the request is what it puts into another one.
    elsewhere = {
        resource["urn"].rpartition("::")[2]
        for resource in resources
        if (resource.get("inputs") or {}).get("metadata", {}).get("namespace") not in (None, "airflow-dev-bob")
        and resource["custom"]
        and not resource.get("external")
    }
    assert elsewhere == {"dev-bob-database-request"}
    assert lease_in(child.name, json.dumps(pair.state(child.name)))
    assert lease_in(pair.base.name, json.dumps(pair.state(pair.base.name))) is None
