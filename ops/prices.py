"""The list prices in docs/prices.yaml: inputs, each with its unit, its source, and the region and day it is of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, Field, ValidationError

from ops.stack_file import ROOT
from testbed.progress import Failure

PRICES: Final = ROOT / "docs" / "prices.yaml"
EVERYWHERE: Final = "everywhere"
"""The region of a price that is the same in all of them."""


@dataclass(frozen=True)
class Price:
    """One list price in USD. ``usage`` says what is priced so, where no stack file decides how much of it."""

    amount: float
    unit: str
    region: str
    date: date
    usage: str | None = None


@dataclass(frozen=True)
class PriceList:
    """The prices by name, of ``region``. ``hours`` are a month's."""

    region: str
    hours: int
    prices: Mapping[str, Price]

    def is_elsewhere(self, name: str) -> bool:
        """Whether the price ``name`` was read for another region."""
        return self.prices[name].region not in (self.region, EVERYWHERE)

    @property
    def other_regions(self) -> list[str]:
        """The regions that prices were read for instead of ``region``."""
        return sorted({price.region for name, price in self.prices.items() if self.is_elsewhere(name)})


class _Entry(BaseModel, extra="forbid"):
    price: float = Field(gt=0)
    unit: str
    usage: str | None = None


class _Group(BaseModel, extra="forbid"):
    about: str
    source: str = Field(pattern="^https://")
    check: str = Field(pattern="^https://")
    date: date
    region: str
    prices: dict[str, _Entry]


class _File(BaseModel, extra="forbid"):
    region: str
    currency: str = Field(pattern="^USD$")
    hours_per_month: int = Field(alias="hoursPerMonth")
    groups: list[_Group]


def price_list(path: Path = PRICES) -> PriceList:
    """The prices in ``path``. Refuses what lacks a source, a date, a region or a unit, and says where."""
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise Failure(f"{path.name} is not valid YAML.\n{error}") from None
    except ValidationError as error:
        raise Failure(f"{path.name} is not as it should be:\n{problems(error)}\nMend: correct it.") from None
    return PriceList(
        file.region,
        file.hours_per_month,
        {
            name: Price(entry.price, entry.unit, group.region, group.date, entry.usage)
            for group in file.groups
            for name, entry in group.prices.items()
        },
    )


def problems(error: ValidationError) -> str:
    """What ``error`` found, a line each."""
    found = error.errors(include_input=False)
    return "\n".join(f"  - {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
