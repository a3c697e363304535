"""The dev stacks of a base, as the backend's states tell: from any machine that reaches them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra.dev_stacks import LEASE
from infra.settings.dev_stacks import PREFIX, moment
from ops.engine import Engine

Tree = dict[str, Any]


@dataclass(frozen=True)
class Lease:
    """One dev stack. ``config`` is its whole configuration, without secrets, of which it has none."""

    stack: str
    base: str
    owner: str
    created: datetime
    expires: datetime
    connections: int
    millicpus: int
    config: Tree

    @property
    def name(self) -> str:
        """What `make dev NAME=` called it."""
        return self.stack.removeprefix(stack_of(self.base, ""))

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires <= now


@dataclass(frozen=True)
class DevStacks:
    """All of a base's. ``unclear`` are stacks whose names are like a dev stack's, and whose states don't say that they
    are one: interrupted before they held anything, or something else."""

    leases: Sequence[Lease]
    unclear: Sequence[str]

    def named(self, stack: str) -> Lease | None:
        """The one of that stack's name."""
        return next((lease for lease in self.leases if lease.stack == stack), None)

    def lacks(self, stack: str) -> bool:
        """Whether there is nothing of that name at all."""
        return self.named(stack) is None and stack not in self.unclear


def stack_of(base: str, name: str) -> str:
    """The stack of the dev stack ``name`` on ``base``."""
    return f"{base}-{PREFIX}{name}"


def dev_stacks(engine: Engine, base: str = "") -> DevStacks:
    """The dev stacks on ``base``, by default the stack that ``engine`` is on."""
    base = base or engine.target.name
    listed = sorted(found.name for found in engine.stack.workspace.list_stacks())
    leases, unclear = [], []
    for stack in listed:
        # A backend that knows organisations lists theirs with a path in front.
        plain = stack.rpartition("/")[2]
        if not plain.startswith(stack_of(base, "")):
            continue
        lease = lease_in(plain, engine.exported(plain))
        if lease and lease.base == base:
            leases.append(lease)
        else:
            unclear.append(plain)
    return DevStacks(leases, unclear)


def lease_in(stack: str, state: str) -> Lease | None:
    """What the exported ``state`` of ``stack`` says of it as a dev stack; None where it is none."""
    resources: list[Tree] = json.loads(state)["deployment"].get("resources") or []
    for resource in resources:
        said = resource.get("outputs") or {}
        if resource["type"] == LEASE and "config" in said:
            return Lease(
                stack=stack,
                base=said["base"],
                owner=said["owner"],
                created=moment(said["created"]),
                expires=moment(said["expires"]),
                connections=int(said["connections"]),
                millicpus=int(said["millicpus"]),
                config=json.loads(said["config"]),
            )
    return None
