"""What a change does to a stack, resource by resource, collected from the engine's events."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pulumi.automation import events

from policy.stateful import holds_something
from testbed.engine.diffing import differences, parse_path, path_text
from testbed.engine.values import UNKNOWN_STRING

ALLOWING_LABEL: Final = "allow-replacement"
"""The label of a pull request, and the word for ALLOW=, with which what holds something may be replaced or deleted."""
_OPERATIONS: Final = {
    "create": "create",
    "update": "update",
    "replace": "replace",
    "delete": "delete",
    "import": "create",
}
_COMPONENT: Final = ("airflow-platform:", "pulumi:pulumi:")
SECRET: Final = "[secret]"  # noqa: S105 (what the engine writes in place of one)
UNKNOWN: Final = "(known after the update)"
NOTHING: Final = "(nothing)"


@dataclass(frozen=True)
class Change:
    """One property. ``old`` and ``new`` are as they can be shown; a secret never is."""

    path: str
    old: str
    new: str
    replaces: bool = False
    """Whether it is what forces a replacement."""


@dataclass(frozen=True)
class Changed:
    """One resource that something happens to."""

    operation: str
    """``create``, ``update``, ``replace`` or ``delete``."""
    type: str
    name: str
    stateful: bool
    protected: bool
    """Whether Pulumi itself will refuse to delete it."""
    changes: tuple[Change, ...] = ()

    @property
    def kind(self) -> str:
        """The last part of the type: ``Deployment``."""
        return self.type.rpartition(":")[2]

    @property
    def title(self) -> str:
        """How people call it."""
        return f"{self.kind} {self.name}"

    @property
    def loses_something(self) -> bool:
        """Whether what it holds would be gone."""
        return self.operation in ("replace", "delete") and (self.stateful or self.protected)


@dataclass(frozen=True)
class Report:
    """What is different between ``base`` and the head in ``stack``."""

    stack: str
    base: str
    """As it was asked for."""
    commit: str
    head: str
    kind: str = "offline"
    """``offline``; ``live``: a preview against the real thing; ``drift``: what the real thing is, against the state."""
    resources: tuple[Changed, ...] = ()
    unchanged: int = 0
    secrets: tuple[str, ...] = ()
    """Settings whose encrypted values differ. What they are is not known here."""
    refused: tuple[str, ...] = ()
    """Why `up` will refuse it."""
    violations: tuple[str, ...] = ()
    """What the guardrails say (docs/policy.md)."""
    allowed: bool = False
    """Whether the label was given."""

    @property
    def counts(self) -> dict[str, int]:
        """How many are created, updated, replaced, deleted."""
        return {
            operation: sum(one.operation == operation for one in self.resources)
            for operation in ("create", "update", "replace", "delete")
        }

    @property
    def at_stake(self) -> list[Changed]:
        """What holds something and would be gone."""
        return [one for one in self.resources if one.loses_something]

    @property
    def passes(self) -> bool:
        """Whether it may be merged as it is."""
        return not self.refused and not self.violations and (self.allowed or not self.at_stake)

    @property
    def empty(self) -> bool:
        """Whether nothing is different."""
        return not self.resources and not self.secrets and not self.refused and not self.violations


@dataclass
class Seen:
    """Takes the engine's events of a preview."""

    protected: frozenset[str] = frozenset()
    """URNs of what the base protects."""
    resources: list[Changed] = field(default_factory=list)
    unchanged: int = 0
    planned: dict[str, events.StepEventStateMetadata] = field(default_factory=dict)
    """Every resource that there will be, by URN."""

    def event(self, event: events.EngineEvent) -> None:
        """Take one."""
        before = event.resource_pre_event
        if before is None:
            return
        step = before.metadata
        if step.new is not None and not step.type.startswith("pulumi:pulumi:"):
            self.planned[step.urn] = step.new
        if step.type.startswith(_COMPONENT):
            return
        operation = _OPERATIONS.get(step.op.value)
        if operation is None:
            self.unchanged += step.op.value == "same"
            return
        changes = tuple(_changes(step)) if operation in ("update", "replace") else ()
        # Where the head lifts the protection, the engine replaces.
        protected = step.urn in self.protected and (step.new is None or bool(step.new.protect))
        self.resources.append(_changed(step, operation, changes, protected=protected))

    def sorted(self) -> tuple[Changed, ...]:
        """What is worst first, then by name."""
        order = ("delete", "replace", "create", "update")
        return tuple(
            sorted(self.resources, key=lambda one: (not one.loses_something, order.index(one.operation), one.title))
        )


@dataclass
class Drifted(Seen):
    """Takes the engine's events of a refresh: what is there, against what the state says."""

    def event(self, event: events.EngineEvent) -> None:
        """Take one."""
        after = event.res_outputs_event
        if after is None or after.metadata.type.startswith(_COMPONENT):
            return
        step = after.metadata
        if step.op.value not in ("update", "delete"):
            self.unchanged += 1
            return
        before, now = ((state.outputs or {}) if state else {} for state in (step.old, step.new))
        changes = tuple(
            Change(path_text(one.path), _shown(_at(before, one.path)), _shown(_at(now, one.path)))
            for one in (differences(before, now) if step.op.value == "update" else ())
        )
        if changes or step.op.value == "delete":
            self.resources.append(_changed(step, step.op.value, changes, protected=False))
        else:
            self.unchanged += 1


def _changed(
    step: events.StepEventMetadata, operation: str, changes: tuple[Change, ...], *, protected: bool
) -> Changed:
    name, stateful = step.urn.rpartition("::")[2], holds_something(step.type, _inputs(step.old or step.new))
    return Changed(operation, step.type, name, stateful, protected, changes)


def _changes(step: events.StepEventMetadata) -> Iterator[Change]:
    before, after = (_inputs(step.old), _inputs(step.new))
    found = step.detailed_diff or dict.fromkeys(step.diffs or ())
    for path, diff in sorted(found.items()):
        replaces = (diff is not None and diff.diff_kind.value.endswith("replace")) or path in (step.keys or ())
        parts = parse_path(path)
        yield Change(path, _shown(_at(before, parts)), _shown(_at(after, parts)), replaces)


def _inputs(state: events.StepEventStateMetadata | None) -> Mapping[str, Any]:
    return (state.inputs or {}) if state else {}


def _at(node: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return SECRET if node == SECRET else None
    return node


def _shown(value: Any) -> str:
    match value:
        case None:
            return NOTHING
        case str():
            return UNKNOWN if value == UNKNOWN_STRING else value
        case bool():
            return str(value).lower()
        case dict() | list():
            return _flat(value)
        case _:
            return str(value)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flat(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flat(inner) for inner in value) + "]"
    return _shown(value)
