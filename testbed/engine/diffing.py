"""What differs between two property values, as paths that the engine understands."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from testbed.engine.values import UNKNOWN, Value

Path = tuple[str | int, ...]
Kind = Literal["add", "delete", "update"]
_SIMPLE = re.compile(r"[^.\[\]\"]+\Z")


@dataclass(frozen=True)
class Change:
    """One leaf (or a whole branch that only one side has) that differs."""

    path: Path
    kind: Kind


def differences(old: Value, new: Value, path: Path = ()) -> Iterator[Change]:
    """Every change from ``old`` to ``new``, both without secret wrappers. A missing value and null are the same."""
    if old is None and new is None:
        return
    if old is None:
        yield Change(path, "add")
    elif new is None:
        yield Change(path, "delete")
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from differences(_at(old, index), _at(new, index), (*path, index))
    elif new is UNKNOWN or type(old) is not type(new) or old != new:
        if _same_number(old, new):
            return
        yield Change(path, "update")


def _at(values: Sequence[Value], index: int) -> Value:
    return values[index] if index < len(values) else None


def _same_number(old: Value, new: Value) -> bool:
    numbers = isinstance(old, int | float) and isinstance(new, int | float)
    return numbers and not isinstance(old, bool) and not isinstance(new, bool) and old == new


def path_text(path: Path) -> str:
    """``path`` in the engine's notation, e.g. ``spec.containers[0].env["a.b"]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _SIMPLE.match(part):
            text += f".{part}" if text else part
        else:
            text += '["' + part.replace('"', '\\"') + '"]'
    return text


def parse_path(text: str) -> Path:
    """The inverse of ``path_text``; ``*`` stays as it is."""
    path: list[str | int] = []
    for match in re.finditer(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|\[(\*)\]|([^.\[\]]+)', text):
        quoted, index, star, name = match.groups()
        if quoted is not None:
            path.append(quoted.replace('\\"', '"'))
        elif index is not None:
            path.append(int(index))
        else:
            path.append(star or name)
    return tuple(path)
