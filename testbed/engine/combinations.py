"""Rules over several properties: which go together, which exclude each other, and what one value asks of another."""

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from testbed.engine.diffing import Path, path_text
from testbed.engine.servicer import Refusal
from testbed.engine.templates import fill, lookup
from testbed.engine.values import UNKNOWN, Properties, Secret, Value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Condition(_Strict):
    """What must hold of one value; all of it must. A bare value or a list of values stands for ``is``."""

    is_: tuple[Any, ...] = Field(default=(), alias="is")
    not_: tuple[Any, ...] = Field(default=(), alias="not")
    """None of these; a missing value is none of them."""
    matches: str = ""
    """A regular expression for the whole string."""
    set: bool | None = None
    """Whether it is there at all."""
    at_least: int | float | str | None = None
    """A number, or the path of another property; a missing value passes."""
    at_most: int | float | str | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, given: Any) -> Any:
        if isinstance(given, dict | Condition):
            return given
        return {"is": given if isinstance(given, list) else [given]}

    def holds(self, value: Value, beside: Properties) -> bool | None:
        """Whether it holds; None where that depends on something that is not known yet."""
        if isinstance(value, Secret):
            value = value.value
        if value is UNKNOWN:
            return None
        if self.set is not None and (value is not None) != self.set:
            return False
        if (self.is_ and value not in self.is_) or (self.not_ and value in self.not_):
            return False
        if self.matches and not (isinstance(value, str) and re.fullmatch(self.matches, value)):
            return False
        if value is None:
            return True
        for limit, sign in ((self.at_least, 1), (self.at_most, -1)):
            bound: Value = lookup(beside, limit) if isinstance(limit, str) else limit
            if bound is UNKNOWN:
                return None
            if bound is not None and sign * value < sign * bound:
                return False
        return True


def hold(conditions: dict[str, Condition], values: Properties) -> bool | None:
    """Whether all ``conditions`` hold of the properties that they name by path."""
    found = [condition.holds(lookup(values, path), values) for path, condition in conditions.items()]
    if False in found:
        return False
    return None if None in found else True


class Refused(_Strict):
    """Something that is refused while ``when`` holds."""

    when: Annotated[dict[str, Condition], Field(min_length=1)]
    says: Annotated[str, Field(min_length=1)]
    """The vendor's own words, as a template over the properties."""
    mend: Annotated[str, Field(min_length=1)]

    def text(self, values: Properties) -> str:
        """What to tell the user, empty where nothing is refused."""
        return f"{fill(self.says, values)} Mend: {fill(self.mend, values)}" if hold(self.when, values) else ""


class Combination(_Strict):
    """One rule. Paths are dotted; those of a rule ``within`` something start there."""

    source: str = ""
    """Where it is documented, if not in the source of the type."""
    within: str = ""
    """The object, or with ``[*]`` each element of a list, that the rule is about, where there is one."""
    exactly_one: tuple[str, ...] = ()
    at_least_one: tuple[str, ...] = ()
    at_most_one: tuple[str, ...] = ()
    when: dict[str, Condition] = {}
    then: dict[str, Condition] = {}
    says: str = ""
    mend: str = ""

    @model_validator(mode="after")
    def _whole(self) -> "Combination":
        kinds = [self.exactly_one, self.at_least_one, self.at_most_one, self.then]
        if sum(map(bool, kinds)) != 1 or bool(self.then) != bool(self.says and self.mend):
            raise ValueError(
                "a combination is one of exactly_one, at_least_one, at_most_one, or then with says and mend"
            )
        return self

    def refusals(self, inputs: Properties) -> Iterator[Refusal]:
        """What ``inputs`` break of it. What is not known yet is not judged."""
        for path, values in _scopes(inputs, self.within):
            for key, reason in self._broken(values):
                yield Refusal(path_text((*path, *key.split("."))), reason)

    def _broken(self, values: Properties) -> Iterator[tuple[str, str]]:
        group = self.exactly_one or self.at_least_one or self.at_most_one
        given = [key for key in group if lookup(values, key) is not None]
        known = [key for key in given if lookup(values, key) is not UNKNOWN]
        if not self.at_least_one and len(known) > 1:
            yield known[1], f"can't be combined with {known[0]}. Mend: keep only one of {', '.join(group)}."
        if not self.at_most_one and group and not given:
            one = "one" if self.exactly_one else "at least one"
            yield group[0], f"{one} of {', '.join(group)} is required. Mend: set {one} of them."
        if self.then and hold(self.when, values) is True:
            for key, condition in self.then.items():
                if condition.holds(lookup(values, key), values) is False:
                    yield key, f"{fill(self.says, values)} Mend: {fill(self.mend, values)}"


def _scopes(values: Value, within: str, path: Path = ()) -> Iterator[tuple[Path, Properties]]:
    if isinstance(values, Secret):
        values = values.value
    if not within:
        if isinstance(values, dict):
            yield path, values
        return
    first, _, rest = within.partition(".")
    key = first.removesuffix("[*]")
    inner = values.get(key) if isinstance(values, dict) else None
    if isinstance(inner, Secret):
        inner = inner.value
    if not first.endswith("[*]"):
        yield from _scopes(inner, rest, (*path, key))
    elif isinstance(inner, list):
        for index, item in enumerate(inner):
            yield from _scopes(item, rest, (*path, key, index))
