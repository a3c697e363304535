"""Lifecycle policies: looked at and remembered. Nothing here ever rolls over, deletes or takes a snapshot."""

import re
from collections.abc import Iterator
from typing import Any

from configuration import flat
from messages import ElasticError

_EVERYWHERE = ("unfollow",)
_HOT = ("set_priority", "rollover", "readonly", "downsample", "shrink", "forcemerge", "searchable_snapshot")
_WARM = ("set_priority", "readonly", "downsample", "allocate", "migrate", "shrink", "forcemerge")
_COLD = ("set_priority", "readonly", "downsample", "searchable_snapshot", "allocate", "migrate")
PHASES = {
    "hot": _HOT,
    "warm": _WARM,
    "cold": _COLD,
    "frozen": ("searchable_snapshot",),
    "delete": ("wait_for_snapshot", "delete"),
}
"""elastic.co/docs/reference/elasticsearch/index-lifecycle-actions"""
_BOUNDS = {f"{end}_{what}" for end in ("min", "max") for what in ("age", "docs", "size")} | {
    f"{end}_primary_shard_{what}" for end in ("min", "max") for what in ("size", "docs")
}
_TIME = re.compile(r"\d+(nanos|micros|ms|s|m|h|d)")
_SIZE = re.compile(r"\d+(b|kb|mb|gb|tb|pb)")


def check_policy(body: dict[str, Any]) -> None:
    """Refuses a body that is no lifecycle policy, with everything that is wrong with it."""
    problems = list(_policy_problems(body))
    if problems:
        raise ElasticError(400, "x_content_parse_exception", "; ".join(problems))


def _policy_problems(body: dict[str, Any]) -> Iterator[str]:
    if body.keys() != {"policy"}:
        yield "the body has one key, policy"
        return
    policy = body["policy"]
    if unknown := policy.keys() - {"phases", "_meta", "deprecated"}:
        yield f"[policy] unknown field {sorted(unknown)}"
    for name, phase in policy.get("phases", {}).items():
        if name not in PHASES:
            yield f"unknown phase [{name}]"
            continue
        if unknown := phase.keys() - {"min_age", "actions"}:
            yield f"[{name}] unknown field {sorted(unknown)}"
        if not _TIME.fullmatch(str(phase.get("min_age", "0ms"))):
            yield f"[{name}.min_age] is no time"
        for action, options in phase.get("actions", {}).items():
            if action not in (*PHASES[name], *_EVERYWHERE):
                yield f"[{name}] has no action [{action}]"
            elif action == "rollover":
                yield from _rollover_problems(options)


def _rollover_problems(options: dict[str, Any]) -> Iterator[str]:
    if unknown := options.keys() - _BOUNDS:
        yield f"[rollover] unknown field {sorted(unknown)}"
    for name, value in options.items():
        form = _TIME if name.endswith("age") else _SIZE if name.endswith("size") else re.compile(r"\d+")
        if not form.fullmatch(str(value)):
            yield f"[rollover.{name}] is no {'time' if form is _TIME else 'size' if form is _SIZE else 'number'}"
    if not any(name.startswith("max_") for name in options):
        yield "[rollover] has no condition that ends with an index: one of max_* is needed"


def check_snapshots(body: dict[str, Any]) -> None:
    """Refuses a body that is no policy of taking snapshots."""
    needed, known = {"schedule", "name", "repository"}, {"config", "retention"}
    if (missing := needed - body.keys()) or (body.keys() - needed - known):
        unknown = sorted(body.keys() - needed - known)
        raise ElasticError(400, "x_content_parse_exception", f"missing {sorted(missing)}, unknown {unknown}")


def for_opensearch(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of an index by their full names: the ones that OpenSearch knows, and those that are only remembered."""
    named = {name if name.startswith("index.") else f"index.{name}": value for name, value in flat(settings).items()}
    if named.get("index.mode", "standard") != "standard":
        raise ElasticError(501, "stand_in_exception", "index.mode: the stand-in knows standard only")
    kept = {name: value for name, value in named.items() if name.startswith("index.lifecycle.") or name == "index.mode"}
    return {name: value for name, value in named.items() if name not in kept}, kept
