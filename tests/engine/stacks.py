"""A stack on the real engine with no cluster behind it: what the engine would do, object by object."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pulumi.automation import events

from ops.engine import Engine, engine_on
from ops.stack_file import StackFile, read
from ops.target import Target
from testbed.engine.choice import Purpose
from testbed.progress import Progress
from tests.filled import filled

Change = Callable[[dict[str, Any]], object]


WATCHING = ("ConfigMap metrics-prometheus-config", "Deployment metrics-state", "StatefulSet metrics-prometheus")
"""Of production: what is told which Airflows there are."""
TAUGHT = {
    "ConfigMap log-store-elasticsearch-bootstrap": "update",
    "Job log-store-elasticsearch-bootstrap-job": "replace",
    "NetworkPolicy log-store-network-elasticsearch": "update",
    "Secret log-store-users": "update",
}
"""Of production: what makes each Airflow's stream and reader, and what becomes of it when there is another one."""
NOTHING = (["same"], ["read"], ["discard"])
"""What happens to a resource that nothing happens to: the last two to one that is only looked up."""


@dataclass
class Steps:
    """What an update did, as the engine reports it: the operation of every resource, by kind and name."""

    by_resource: dict[str, list[str]] = field(default_factory=dict)

    def event(self, event: events.EngineEvent) -> None:
        """Take one event of the engine."""
        if before := event.resource_pre_event:
            kind, name = before.metadata.urn.split("::")[2].rpartition(":")[2], before.metadata.urn.rpartition("::")[2]
            self.by_resource.setdefault(f"{kind} {name}", []).append(before.metadata.op.value)

    @property
    def changed(self) -> dict[str, list[str]]:
        """Without what stayed the same, and what is only looked up."""
        return {name: ops for name, ops in self.by_resource.items() if ops not in NOTHING}

    @property
    def replaced_or_deleted(self) -> dict[str, list[str]]:
        """What would not be there any more, or not with what was in it."""
        return {name: ops for name, ops in self.by_resource.items() if set(ops) & {"replace", "delete"}}

    def of_kind(self, *kinds: str) -> dict[str, list[str]]:
        """The changed ones among ``kinds``."""
        return {name: ops for name, ops in self.changed.items() if name.split()[0] in kinds}


@dataclass
class OfflineStack:
    """One stack with a state of its own in ``home``."""

    file: StackFile
    home: Path

    def target(self, change: Change | None = None) -> Target:
        """The stack, after ``change`` had its way with its configuration."""
        config = copy.deepcopy(self.file.config)
        if change:
            change(config)
        stack = self.file.with_config(config)
        return Target(stack, stack.parsed, None)

    @contextmanager
    def engine(self, change: Change | None = None) -> Iterator[Engine]:
        """The real engine on it."""
        with engine_on(self.target(change), Progress(), Purpose.TEST, self.home, offline=True) as engine:
            # After an update the Automation API asks the CLI three more times, for outputs and history that no test
            # here looks at: a third of the time of all these tests. What they look at are the engine's events.
            vars(engine.stack).update(outputs=dict, info=lambda *_: SimpleNamespace(resource_changes={}))
            yield engine

    def preview(self, change: Change | None = None) -> Steps:
        """What an update would do."""
        steps = Steps()
        with self.engine(change) as engine:
            engine.preview(lambda _: None, steps.event)
        return steps

    def up(self, change: Change | None = None) -> Steps:
        """Update, and what that did."""
        steps = Steps()
        with self.engine(change) as engine:
            engine.up(steps.event)
        return steps

    def destroy(self, change: Change | None = None) -> Steps:
        """Destroy, and what that did."""
        steps = Steps()
        with self.engine(change) as engine:
            engine.destroy(steps.event)
        return steps


def offline_stack(name: str, home: Path) -> OfflineStack:
    """The project's own stack ``name``."""
    file = read(name)
    return OfflineStack(file.with_config(filled(file.config)), home)
