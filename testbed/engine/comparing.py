"""What a change of inputs does, by the description: each difference, and whether it forces a replacement."""

import ipaddress
import re
from collections.abc import Iterator

from testbed.engine.description import Input, ResourceType
from testbed.engine.diffing import Change, Path, differences
from testbed.engine.judging import with_defaults
from testbed.engine.values import UNKNOWN, Properties, Value


def changes(
    described: ResourceType, old: Properties, new: Properties, blank_is_missing: bool = False
) -> dict[Change, bool]:
    """Every difference from ``old`` to ``new``, both without secret wrappers, with whether it forces a replacement."""
    fields = described.inputs
    old, new = with_defaults(fields, old), with_defaults(fields, new)
    return dict(_Comparison(blank_is_missing).of_objects(fields, old, new, (), False))


class _Comparison:
    def __init__(self, blank_is_missing: bool) -> None:
        self._blank_is_missing = blank_is_missing

    def of_objects(
        self, fields: dict[str, Input], old: Properties, new: Properties, path: Path, forced: bool
    ) -> Iterator[tuple[Change, bool]]:
        for key in [*old, *(key for key in new if key not in old)]:
            if key.startswith("__"):
                continue
            entry = fields.get(key)
            if entry is None:
                yield from ((change, forced) for change in differences(old.get(key), new.get(key), (*path, key)))
            elif not _grew(entry, old, new, key):
                yield from self._of_values(entry, old.get(key), new.get(key), (*path, key), forced)

    def _of_values(
        self, entry: Input, old: Value, new: Value, path: Path, forced: bool
    ) -> Iterator[tuple[Change, bool]]:
        old, new = self._missing(old), self._missing(new)
        if new is None and entry.computed:
            return
        if _same(entry, old, new):
            return
        within = forced or entry.replaces is True
        if old is None or new is None:
            kind = "add" if old is None else "delete"
            yield Change(path, kind), within or _forced_by(entry, old, new) or _some_forced(entry, new or old)
        elif entry.type == "object" and isinstance(old, dict) and isinstance(new, dict):
            yield from self.of_objects(entry.properties, old, new, path, within)
        elif entry.items and isinstance(old, dict) and isinstance(new, dict):
            for key in [*old, *(key for key in new if key not in old)]:
                yield from self._of_values(entry.items, old.get(key), new.get(key), (*path, key), within)
        elif entry.items and isinstance(old, list) and isinstance(new, list):
            yield from self._of_elements(entry, entry.items, old, new, path, within)
        else:
            yield Change(path, "update"), within or _forced_by(entry, old, new)

    def _of_elements(
        self, entry: Input, items: Input, old: list[Value], new: list[Value], path: Path, forced: bool
    ) -> Iterator[tuple[Change, bool]]:
        before = list(enumerate(old))
        after = list(enumerate(new))
        if entry.type == "set":
            # What both hold is out of the way first, so that a moved element is no difference.
            for pair in list(before):
                same = next((other for other in after if self._equal(items, pair[1], other[1])), None)
                if same:
                    before.remove(pair)
                    after.remove(same)
        counted = forced or entry.replaces == "whole"
        for index in range(max(len(before), len(after))):
            was = before[index] if index < len(before) else None
            now = after[index] if index < len(after) else None
            shown = (*path, (now or was or (index,))[0])
            both = was is not None and now is not None
            yield from self._of_values(items, was and was[1], now and now[1], shown, forced if both else counted)

    def _equal(self, entry: Input, old: Value, new: Value) -> bool:
        return not any(True for _ in self._of_values(entry, old, new, (), False))

    def _missing(self, value: Value) -> Value:
        blank = self._blank_is_missing and (value is False or value in ("", 0) or value == [])
        return None if blank else value


def _same(entry: Input, old: Value, new: Value) -> bool:
    if old is UNKNOWN or new is UNKNOWN:
        return False
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if old == new:
        return True
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    if entry.like == "case":
        return old.lower() == new.lower()
    return entry.like == "link" and _same_link(old, new)


def _same_link(old: str, new: str) -> bool:
    if "/" not in old or "/" not in new:  # a bare name is the same as the link that ends with it
        return old.rpartition("/")[2] == new.rpartition("/")[2]
    strip = r"^https?://[^/]+/(?:compute/)?[^/]+/(?=projects/)"
    return re.sub(strip, "", old) == re.sub(strip, "", new)


def _grew(entry: Input, old: Properties, new: Properties, key: str) -> bool:
    if not entry.grown_by or new.get(entry.grown_by) is False:
        return False
    before, after = old.get(key), new.get(key)
    return isinstance(before, int) and isinstance(after, int) and after < before


def _forced_by(entry: Input, old: Value, new: Value) -> bool:
    if entry.replaces == "whole":
        return old is None or new is None
    if entry.replaces == "removed":
        return new is None
    if entry.replaces == "switched_off":
        return old is True and new is not UNKNOWN
    if entry.replaces == "smaller":
        return isinstance(old, int | float) and isinstance(new, int | float) and new < old
    if entry.replaces == "shrunk":
        return isinstance(old, str) and isinstance(new, str) and not _holds(new, old)
    return False


def _holds(outer: str, inner: str) -> bool:
    try:
        around, part = ipaddress.ip_network(outer, strict=False), ipaddress.ip_network(inner, strict=False)
    except ValueError:
        return False
    first, last = int(part.network_address), int(part.broadcast_address)
    return around.version == part.version and (
        int(around.network_address) <= first and last <= int(around.broadcast_address)
    )


def _some_forced(entry: Input, branch: Value) -> bool:
    """Whether something inside a branch that appears or disappears as a whole forces a replacement by itself."""
    if isinstance(branch, dict) and entry.type == "object":
        parts = ((entry.properties.get(key), value) for key, value in branch.items() if value is not None)
    elif isinstance(branch, list) and entry.items:
        parts = ((entry.items, value) for value in branch)
    else:
        return False
    return any(part and (part.replaces in (True, "whole") or _some_forced(part, value)) for part, value in parts)
