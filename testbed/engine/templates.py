"""Values made from other properties: ``gs://{name}``, ``{network|last}``."""

import hashlib
import re
from collections.abc import Callable
from typing import Any

from testbed.engine.values import UNKNOWN, Properties, Secret, Value, has_unknown, plain

_PLACE = re.compile(r"\{([\w.]+)(?:\|(\w+))?\}")


def lookup(values: Value, path: str) -> Value:
    """What is at the dotted ``path``: None where there is nothing, unknown where that is not known yet."""
    for part in path.split("."):
        if isinstance(values, Secret):
            values = values.value
        if values is UNKNOWN:
            return UNKNOWN
        values = values.get(part) if isinstance(values, dict) else None
    return values


def place(values: Properties, path: str, value: Value) -> Properties:
    """``values`` with ``value`` at the dotted ``path``, unless something is there already."""
    key, _, rest = path.partition(".")
    old = values.get(key)
    if not rest:
        return {**values, key: value} if old is None else values
    if old is None:
        return {**values, key: place({}, rest, value)}
    if isinstance(old, Secret):
        return {**values, key: Secret(place(old.value, rest, value))} if isinstance(old.value, dict) else values
    return {**values, key: place(old, rest, value)} if isinstance(old, dict) else values


def fill(template: Any, values: Properties) -> Value:
    """``template`` with each ``{path}`` taken from ``values``; unknown as soon as one of them is.

    A template that is nothing but one place becomes that value itself, lists and objects are filled piece by piece,
    and ``{path|filter}`` changes the text (see ``_FILTERS``).
    """
    if isinstance(template, dict):
        return {key: fill(item, values) for key, item in template.items()}
    if isinstance(template, list):
        return [fill(item, values) for item in template]
    if not isinstance(template, str):
        return template
    if any(has_unknown(lookup(values, match[1])) for match in _PLACE.finditer(template)):
        return UNKNOWN
    whole = _PLACE.fullmatch(template)
    if whole and not whole[2]:
        return plain(lookup(values, whole[1]))
    return _PLACE.sub(lambda match: _FILTERS[match[2] or ""](_text(lookup(values, match[1]))), template)


def _text(value: Value) -> str:
    value = plain(value)
    return "" if value is None else str(value)


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _image_name(text: str) -> str:
    return re.split(r"@|:[^/]*$", text)[0]


def _digest(text: str) -> str:
    return text.partition("@")[2] or f"sha256:{_hex(text)}"


_FILTERS: dict[str, Callable[[str], str]] = {
    "": lambda text: text,
    "last": lambda text: text.rstrip("/").rpartition("/")[2],  # the name at the end of a link
    "path": lambda text: re.sub(r"^https://[^/]+/(?:compute/)?[^/]+/(?=projects/)", "", text),  # a link, without host
    "hex": lambda text: _hex(text)[:24],  # made up, the same each time for the same text
    "number": lambda text: str(10**17 + int(_hex(text)[:12], 16)),
    "base64": lambda text: _hex(text)[:40] + "==",
    "image": _image_name,  # of an image's name, without tag and digest
    "digest": _digest,  # of an image's name, the digest in it, or a made-up one
    "service": lambda text: text.partition(".")[0],  # of an API's host
}
