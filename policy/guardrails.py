"""All guardrails together, and what they overlook: run in tests, in the offline diff, and as a Pulumi policy pack."""

import datetime
import fnmatch
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from policy.cloud import (
    database_without_public_address,
    encryption_on,
    no_primitive_roles,
    nodes_without_public_address,
    stateful_is_protected,
)
from policy.resource import Resource
from policy.workloads import images_are_pinned, no_wildcard_rbac, nothing_privileged, requests_and_limits

EXCEPTIONS: Final = Path(__file__).with_name("exceptions.yaml")


@dataclass(frozen=True)
class Guardrail:
    """One rule. ``check`` yields what is wrong with a resource."""

    name: str
    description: str
    check: Callable[[Resource], Iterator[str]]
    lasting_only: bool = False
    """Whether environments to throw away are left alone."""


GUARDRAILS: Final = (
    Guardrail("database-private", "No database has a public address.", database_without_public_address),
    Guardrail("nodes-private", "No node has a public address.", nodes_without_public_address),
    Guardrail("stateful-protected", "What holds something is protected.", stateful_is_protected, lasting_only=True),
    Guardrail("images-pinned", "Images are pinned by digest.", images_are_pinned),
    Guardrail("requests-and-limits", "Every container has requests and limits.", requests_and_limits),
    Guardrail("nothing-privileged", "Nothing is privileged or reaches its node.", nothing_privileged),
    Guardrail("no-wildcard-rbac", "No role in the cluster has a wildcard.", no_wildcard_rbac),
    Guardrail(
        "no-primitive-roles", "No basic role of Google's is granted, and nothing to everybody.", no_primitive_roles
    ),
    Guardrail("encryption-on", "What is kept and what is sent is encrypted.", encryption_on),
)


class Exempt(BaseModel):
    """One entry of exceptions.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str
    resource: Annotated[str, StringConstraints(pattern=r"^\S+ \S+$")]
    """Kind and name: ``DaemonSet logs-fluentd``. ``*`` stands for anything."""
    reason: Annotated[str, StringConstraints(min_length=10)]
    until: datetime.date

    def covers(self, guardrail: Guardrail, resource: Resource) -> bool:
        """Whether it is about this."""
        named = f"{resource.kind} {resource.name}"
        return self.policy == guardrail.name and fnmatch.fnmatchcase(named, self.resource)


@dataclass(frozen=True)
class Violation:
    """What is wrong with one resource."""

    policy: str
    resource: str
    message: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.message} ({self.policy})"


class ExceptionsError(Exception):
    """exceptions.yaml is wrong. The text says where."""


@cache
def exceptions(path: Path = EXCEPTIONS) -> tuple[Exempt, ...]:
    """What is in ``path``. Raises ExceptionsError."""
    known = {guardrail.name for guardrail in GUARDRAILS}
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    try:
        found = tuple(Exempt.model_validate(one) for one in content.get("exceptions") or [])
    except ValidationError as error:
        listed = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ExceptionsError(f"{path.name}: {listed}") from None
    if strange := [one.policy for one in found if one.policy not in known]:
        raise ExceptionsError(
            f"{path.name}: no such policy: {', '.join(strange)}. Known are: {', '.join(sorted(known))}"
        )
    return found


def check(
    resources: Iterable[Resource],
    *,
    ephemeral: bool,
    leaving: Collection[str] = (),
    exempt: Iterable[Exempt] | None = None,
    today: datetime.date | None = None,
) -> list[Violation]:
    """What is wrong with ``resources``, those that are exempt today left out.

    ``ephemeral``: the environment may be thrown away. ``leaving``: Airflows that are retired; what is theirs is no
    longer protected, so that their entry can be removed. ``exempt`` defaults to exceptions.yaml.
    """
    allowed = exceptions() if exempt is None else tuple(exempt)
    day = today or datetime.datetime.now(tz=datetime.UTC).date()
    found: list[Violation] = []
    for resource in resources:
        for guardrail in GUARDRAILS:
            if guardrail.lasting_only and (ephemeral or _belongs(resource, leaving)):
                continue
            covering = [one for one in allowed if one.covers(guardrail, resource)]
            if any(one.until >= day for one in covering):
                continue
            ended = f" Its exception ended on {covering[0].until}." if covering else ""
            found += [
                Violation(guardrail.name, f"{resource.kind} {resource.name}", message + ended)
                for message in guardrail.check(resource)
            ]
    return found


def _belongs(resource: Resource, airflows: Collection[str]) -> bool:
    return any(resource.name.startswith(f"{name}-") or resource.name.endswith(f"-{name}") for name in airflows)
