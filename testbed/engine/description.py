"""Resource types described as data: which inputs they know, what a change does, what they compute.

The files in ``rules/`` are written from each provider's published source or documentation and say which. A type or a
property that they don't know is refused, so that nothing is applied on a guess.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from testbed.engine.combinations import Combination, Refused

RULES = Path(__file__).with_name("rules")

Replaces = bool | Literal["whole", "smaller", "shrunk", "removed", "switched_off"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(_Strict):
    """One input property."""

    type: Literal["string", "integer", "number", "boolean", "object", "list", "set", "map"]
    """A ``set`` is a list whose order says nothing."""
    required: bool = False
    replaces: Replaces = False
    """Which change forces a replacement. ``true``: any, also of what is inside. ``whole``: only that an object or an
    element is added or left out, while what is inside says for itself. ``smaller``: a smaller number. ``shrunk``: an
    address range that doesn't hold the old one. ``removed``: leaving it out. ``switched_off``: from true to false."""
    secret: bool = False
    default: Any = None
    computed: bool = False
    """The vendor fills it in where the program says nothing, so leaving it out again changes nothing."""
    from_config: str = ""
    """The provider's configuration key that fills it when it is missing."""
    allowed: tuple[Any, ...] = ()
    minimum: int | float | None = None
    """Of a number its value, of a string its length, of a list how many."""
    maximum: int | float | None = None
    pattern: str = ""
    """A regular expression that the whole string must match."""
    upper: bool = False
    """The vendor keeps it in upper case, so ``us`` and ``US`` are the same."""
    like: Literal["", "case", "link"] = ""
    """What else is the same value: ``case``, other capitals; ``link``, the full URL, its path, or the bare name."""
    grown_by: str = ""
    """The switch beside it (true where it is missing) with which the vendor makes the number larger by itself; a
    smaller one is then no change."""
    conflicts: tuple[str, ...] = ()
    """What it can't be combined with, in the same object."""
    properties: dict[str, "Input"] = {}
    """For ``type: object``: what it knows."""
    items: "Input | None" = None
    """For ``type: list``, ``set`` and ``map``: what each of its values is."""


class Output(_Strict):
    """One property that the provider computes."""

    value: Any = None
    """A template over inputs and other outputs (``gs://{name}``), or a constant; empty where code computes it."""
    secret: bool = False


class Autoname(_Strict):
    """How an absent name is made from the resource's name in the program."""

    property: str
    separator: str = "-"
    maximum: int = 255
    lower: bool = True


class ResourceType(_Strict):
    """One type."""

    source: Annotated[str, Field(min_length=1)]
    """The document or source file that says all this."""
    inputs: dict[str, Input]
    outputs: dict[str, Output] = {}
    """By property. A dotted path is one inside an input; one that the program may also set is computed where it
    doesn't."""
    id: str = ""
    """A template for the resource's id."""
    autoname: Autoname | None = None
    combinations: tuple[Combination, ...] = ()
    protected: tuple[Refused, ...] = ()
    """When its state refuses to be deleted."""
    delete_first: bool = False
    """A replacement always deletes first."""
    on_delete: str = ""
    """What a deletion really does, as a warning, where the vendor only forgets the object."""


class Function(_Strict):
    """A function that programs call."""

    source: Annotated[str, Field(min_length=1)]
    inputs: dict[str, Input]
    result: dict[str, Any]
    """Templates over the inputs."""
    refused: tuple[Refused, ...] = ()


class Rules(_Strict):
    """A whole provider."""

    source: Annotated[str, Field(min_length=1)]
    config: dict[str, str] = {}
    """The provider's own configuration keys, each with what it is."""
    blank_is_missing: bool = False
    """An empty string, false, zero or an empty list is the same as nothing, as Terraform's SDK 2 sees it."""
    protected: tuple[Refused, ...] = ()
    """When any type's state refuses to be deleted."""
    types: dict[str, ResourceType] = {}
    functions: dict[str, Function] = {}
    files: dict[str, str] = {}
    """Which file describes a type or function; filled in by ``load``."""


@cache
def load(name: str) -> Rules:
    """The rules in ``rules/<name>.yaml``, with the types and functions of all files in ``rules/<name>/``.

    Besides what ``Rules`` has, a file may define ``shapes``: properties of an object that are used in several places,
    there named by ``shape`` instead of ``properties``.
    """
    paths = [RULES / f"{name}.yaml", *sorted((RULES / name).glob("*.yaml"))]
    # libyaml's loader: the pure one takes many times as long for the rules of Google's types.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    parts = {str(path.relative_to(RULES)): yaml.load(path.read_text(), Loader=loader) for path in paths}
    whole: dict[str, Any] = {**parts[f"{name}.yaml"], "types": {}, "functions": {}, "files": {}}
    shapes: dict[str, Any] = {}
    for file, part in parts.items():
        shapes |= part.get("shapes", {})
        for kind in ("types", "functions"):
            for token, entry in part.get(kind, {}).items():
                if token in whole["files"]:
                    raise ValueError(f"{token} is described both in {whole['files'][token]} and in {file}")
                whole["files"][token] = file
                whole[kind][token] = entry
    for described in whole["types"].values():
        for entry in described["inputs"].values():
            _shape(entry, shapes)
    whole.pop("shapes", None)
    return Rules.model_validate(whole)


def _shape(entry: dict[str, Any], shapes: dict[str, Any]) -> None:
    if "shape" in entry:
        entry["properties"] = shapes[entry.pop("shape")]
    for inner in entry.get("properties", {}).values():
        _shape(inner, shapes)
    if "items" in entry:
        _shape(entry["items"], shapes)
