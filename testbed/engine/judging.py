"""What is wrong with a resource's inputs, by its description: everything at once, each with its path and the mend."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from testbed.engine.description import Function, Input, ResourceType
from testbed.engine.diffing import Path, path_text
from testbed.engine.servicer import Refusal
from testbed.engine.values import UNKNOWN, Properties, Secret, Value


def refusals(described: ResourceType | Function, inputs: Properties, where: str) -> list[Refusal]:
    """Everything that is wrong with ``inputs``. ``where`` names the rules file, for the mend."""
    found = list(_check_object(described.inputs, inputs, (), where))
    if isinstance(described, ResourceType):
        complete = with_defaults(described.inputs, inputs)
        for rule in described.combinations:
            found += rule.refusals(complete if rule.then else inputs)
    return found


def with_defaults(fields: dict[str, Input], values: Properties) -> Properties:
    """``values`` with the vendor's defaults where the program says nothing: what the state shows."""
    defaults = {key: entry.default for key, entry in fields.items() if entry.default is not None}
    given = {key: _inside(fields[key], value) if key in fields else value for key, value in values.items()}
    return {**defaults, **given}


def _inside(entry: Input, value: Value) -> Value:
    if isinstance(value, Secret):
        return Secret(_inside(entry, value.value))
    if entry.type == "object" and isinstance(value, dict):
        return with_defaults(entry.properties, value)
    if entry.items and isinstance(value, list):
        return [_inside(entry.items, item) for item in value]
    return value


def _check_object(fields: dict[str, Input], values: Properties, path: Path, where: str) -> Iterator[Refusal]:
    for key, value in values.items():
        if key.startswith("__"):
            continue
        if key not in fields:
            known = ", ".join(get_close_matches(key, fields) or sorted(fields))
            yield Refusal(
                path_text((*path, key)),
                f"the stand-in has no entry for this property (it knows {known}). Mend: correct its name, or add it to "
                f"{where} with the document that describes it.",
            )
        elif value is not None:
            yield from _check_value(fields[key], value, (*path, key), where)
            for other in fields[key].conflicts:
                if values.get(other) is not None:
                    yield Refusal(path_text((*path, key)), f"can't be combined with {other}. Mend: remove one of them.")
    for key, entry in fields.items():
        if entry.required and values.get(key) is None:
            yield Refusal(path_text((*path, key)), "is required. Mend: set it.")


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "map": (dict,),
    "list": (list,),
    "set": (list,),
}


def _check_value(entry: Input, value: Value, path: Path, where: str) -> Iterator[Refusal]:
    if isinstance(value, Secret):
        value = value.value
    if value is UNKNOWN:
        return
    text = path_text(path)
    good = isinstance(value, _TYPES[entry.type]) and (entry.type == "boolean" or not isinstance(value, bool))
    if not good:
        yield Refusal(text, f"must be of type {entry.type}, not {_name_of(value)}. Mend: give it such a value.")
        return
    yield from _check_itself(entry, value, text)
    if entry.type == "object" and isinstance(value, dict):
        yield from _check_object(entry.properties, value, path, where)
    elif entry.items and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _check_value(entry.items, item, (*path, index), where)
    elif entry.items and isinstance(value, dict):
        for key, item in value.items():
            yield from _check_value(entry.items, item, (*path, key), where)


def _check_itself(entry: Input, value: Value, text: str) -> Iterator[Refusal]:
    shown = "that value" if entry.secret else repr(value)
    allowed = {_folded(entry, each) for each in entry.allowed}
    if allowed and _folded(entry, value) not in allowed:
        yield Refusal(text, f"{shown} is not allowed. Mend: use one of {', '.join(map(str, entry.allowed))}.")
    size = len(value) if isinstance(value, str | list) else value
    if isinstance(size, int | float):
        unit = " characters" if isinstance(value, str) else " elements" if isinstance(value, list) else ""
        if entry.minimum is not None and size < entry.minimum:
            yield Refusal(text, f"{shown} is too small. Mend: at least {entry.minimum}{unit}.")
        if entry.maximum is not None and size > entry.maximum:
            yield Refusal(text, f"{shown} is too large. Mend: at most {entry.maximum}{unit}.")
    if entry.pattern and not (isinstance(value, str) and re.fullmatch(entry.pattern, value)):
        yield Refusal(text, f"{shown} does not have the right form. Mend: it must match {entry.pattern}")


def _folded(entry: Input, value: Value) -> Value:
    return value.lower() if entry.like == "case" and isinstance(value, str) else value


def _name_of(value: Value) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "list"}
    return names.get(type(value), type(value).__name__)
