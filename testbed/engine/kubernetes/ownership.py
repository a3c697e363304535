"""Who owns which field of a live object, as server-side apply records it."""

import copy

from testbed.engine.diffing import Path
from testbed.engine.values import Properties, Value


def without_ignored(body: Properties, live: Properties, manager: str, ignored: list[Path]) -> Properties:
    """``body`` with every ignored field as the cluster has it (pulumi-kubernetes, handleSSAIgnoreFields).

    A field that only others own is left out, so that applying neither conflicts with them nor takes it over (an
    autoscaler's replicas); another keeps its live value. Paths through lists are left to the engine.
    """
    result = copy.deepcopy(body)
    managed = (live.get("metadata") or {}).get("managedFields") or []
    ours = [entry.get("fieldsV1") or {} for entry in managed if entry.get("manager") == manager]
    theirs = [entry.get("fieldsV1") or {} for entry in managed if entry.get("manager") != manager]
    for path in ignored:
        names = [part for part in path if isinstance(part, str) and part != "*"]
        if len(names) != len(path):
            continue
        if any(_owns(fields, names) for fields in theirs) and not any(_owns(fields, names) for fields in ours):
            _remove(result, names)
        elif (value := _get(live, names)) is not None:
            _set(result, names, value)
    return result


def _owns(fields: Properties, names: list[str]) -> bool:
    for name in names:
        if f"f:{name}" not in fields:
            return False
        fields = fields[f"f:{name}"]
    return True


def _get(value: Value, names: list[str]) -> Value:
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def _remove(value: Properties, names: list[str]) -> None:
    parent = _get(value, names[:-1])
    if isinstance(parent, dict):
        parent.pop(names[-1], None)


def _set(value: Properties, names: list[str], new: Value) -> None:
    for name in names[:-1]:
        inner: Value = value.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        value = inner
    value[names[-1]] = copy.deepcopy(new)
