"""pulumi-kubernetes's own rules, read from ``rules/kubernetes.yaml``."""

from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from testbed.engine.description import RULES
from testbed.engine.diffing import Path, parse_path
from testbed.engine.values import Properties, Value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Replaces(_Strict):
    """Which changes replace an object."""

    every_kind: tuple[str, ...]
    unless_mutable: dict[str, tuple[str, ...]]
    kinds: dict[str, tuple[str, ...]]
    container: tuple[str, ...]


class FailAfter(_Strict):
    """How many seconds a pod's problem must last before waiting for it is given up."""

    image: float
    config: float
    mount: float
    quota: float
    unschedulable: float


class Own(_Strict):
    """Where the stand-in differs."""

    service_settle_seconds: float
    fail_after: FailAfter
    crash_loop_restarts: int


class KubernetesRules(_Strict):
    """The whole file."""

    source: str
    replaces: Replaces
    timeouts: dict[str, float]
    delete_unwaited: tuple[str, ...]
    stand_in: Own

    def timeout(self, kind: str) -> float:
        """Seconds to wait for readiness of ``kind`` (``group/version/Kind``, core without a group)."""
        return self.timeouts.get(kind, self.timeouts["default"])


@cache
def rules() -> KubernetesRules:
    """The rules."""
    return KubernetesRules.model_validate(yaml.safe_load((RULES / "kubernetes.yaml").read_text()))


def replacing_paths(obj: Properties, *, config_maps_mutable: bool, secrets_mutable: bool) -> list[Path]:
    """The paths whose change replaces ``obj``, given the provider's flags; ``"*"`` stands for any index."""
    table = rules().replaces
    kind = f"{obj.get('apiVersion')}/{obj.get('kind')}"
    mutable = {"v1/ConfigMap": config_maps_mutable, "v1/Secret": secrets_mutable}.get(kind, True)
    frozen = not mutable or obj.get("immutable") is True
    texts = [*table.every_kind, *table.kinds.get(kind, ()), *(table.unless_mutable.get(kind, ()) if frozen else ())]
    return [
        parse_path(text.replace("{container}", part))
        for text in texts
        for part in (table.container if "{container}" in text else ("",))
    ]


def matches(pattern: Path, path: Path, value: Value) -> bool:
    """Whether a change at ``path`` (to ``value``, a whole branch perhaps) touches ``pattern``."""
    for wanted, part in zip(pattern, path, strict=False):
        if wanted != part and not (wanted == "*" and isinstance(part, int)):
            return False
    return _holds(value, pattern[len(path) :])


def _holds(value: Any, rest: Path) -> bool:
    if not rest:
        return True
    if rest[0] == "*":
        return isinstance(value, list) and any(_holds(item, rest[1:]) for item in value)
    return isinstance(value, dict) and rest[0] in value and _holds(value[rest[0]], rest[1:])
