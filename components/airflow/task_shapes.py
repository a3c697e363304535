"""Kinds of pods that a task can ask for by name: more memory, other nodes, another image; and the backfills' lane."""

from dataclasses import dataclass

from components.quantities import mebibytes, millicpus
from components.workload import Nodes, Resources


@dataclass(frozen=True)
class TaskShape:
    """What differs from the default task's pod; None keeps the default's. Units as in ``Resources``."""

    cpu: str | None = None
    memory: str | None = None
    cpu_limit: str | None = None
    """None: the default's, but at least ``cpu``."""
    memory_limit: str | None = None
    """None: ``memory`` where that is given."""
    nodes: Nodes | None = None
    image: str | None = None

    def resources(self, default: Resources) -> Resources:
        """The shape's resources, where ``default`` is what other tasks have."""
        cpu = self.cpu or default.cpu
        memory = self.memory or default.memory
        return Resources(
            cpu=cpu,
            memory=memory,
            cpu_limit=self.cpu_limit or max(default.cpu_limit, cpu, key=millicpus),
            memory_limit=self.memory_limit or self.memory or max(default.memory_limit, memory, key=mebibytes),
        )


DEFAULT = TaskShape()


@dataclass(frozen=True)
class BackfillLane:
    """``slots``: most tasks of backfills at once. ``nodes``: where they run; None, where all tasks do."""

    slots: int = 16
    nodes: Nodes | None = None
