"""The stand-in for ``random``: real random values, made once and kept in the engine's state."""

import base64
import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Final

import bcrypt

from testbed.engine.described import DescribedStandIn
from testbed.engine.description import load
from testbed.engine.servicer import Refusal
from testbed.engine.values import Properties, Value, has_unknown

SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"
"""Source: terraform-provider-random, internal/random/string.go."""
_WORDS: Final = {
    "adverb": (
        "barely",
        "duly",
        "early",
        "easily",
        "fairly",
        "fully",
        "gently",
        "gladly",
        "highly",
        "kindly",
        "mildly",
    ),
    "adjective": ("able", "bold", "brave", "bright", "calm", "clear", "cool", "eager", "fair", "fast", "fine", "fond"),
    "animal": (
        "ant",
        "bat",
        "bear",
        "bee",
        "boar",
        "carp",
        "cat",
        "cod",
        "crab",
        "crow",
        "deer",
        "dove",
        "duck",
        "elk",
    ),
}


class RandomStandIn(DescribedStandIn):
    """Passwords, ids, strings, bytes, integers, UUIDs and pet names."""

    package = "random"
    rules = load("random")

    def __init__(self) -> None:
        super().__init__()
        self.version = version("pulumi-random")

    def check(self, kind: str, inputs: Properties) -> list[Refusal]:
        if has_unknown(inputs):
            return []
        if "special" in self.described(kind).inputs:
            return _check_text(inputs)
        if "max" in inputs and inputs["max"] < inputs["min"]:
            return [Refusal("max", f"{inputs['max']} is smaller than min, {inputs['min']}. Mend: swap them.")]
        return []

    def make(self, kind: str, inputs: Properties) -> tuple[str, Mapping[str, Value]]:
        return _MAKERS[kind.rsplit(":", 1)[1]](inputs)


def _check_text(inputs: Properties) -> list[Refusal]:
    least = sum(inputs.get(f"min{name}", 0) for name in ("Upper", "Lower", "Numeric", "Special"))
    if inputs["length"] < least:
        return [Refusal("length", f"{inputs['length']} is less than the sum of the minima, {least}. Mend: raise it.")]
    if not "".join(_alphabets(inputs).values()):
        return [
            Refusal("special", "no kind of character is allowed. Mend: allow one (upper, lower, numeric, special).")
        ]
    return []


def _alphabets(inputs: Properties) -> dict[str, str]:
    characters = {
        "upper": string.ascii_uppercase,
        "lower": string.ascii_lowercase,
        "numeric": string.digits,
        "special": inputs.get("overrideSpecial") or SPECIAL,
    }
    return {name: text if inputs.get(name, True) else "" for name, text in characters.items()}


def text(inputs: Properties) -> str:
    """A random string with the asked-for length, alphabets and minima."""
    alphabets = _alphabets(inputs)
    special = inputs.get("overrideSpecial") or SPECIAL
    full = {"Upper": string.ascii_uppercase, "Lower": string.ascii_lowercase, "Numeric": string.digits}
    chosen = [
        secrets.choice(characters)
        for name, characters in {**full, "Special": special}.items()
        for _ in range(inputs.get(f"min{name}", 0))
    ]
    every = "".join(alphabets.values())
    chosen += [secrets.choice(every) for _ in range(inputs["length"] - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


def _password(inputs: Properties) -> tuple[str, Mapping[str, Value]]:
    result = text(inputs)
    hashed = bcrypt.hashpw(result.encode()[:72], bcrypt.gensalt(rounds=10))  # bcrypt reads no more than 72 bytes
    return "none", {"result": result, "bcryptHash": hashed.decode()}


def _string(inputs: Properties) -> tuple[str, Mapping[str, Value]]:
    result = text(inputs)
    return result, {"result": result}


def _bytes(inputs: Properties) -> tuple[str, Mapping[str, Value]]:
    made = secrets.token_bytes(inputs["length"])
    return "none", {"base64": base64.b64encode(made).decode(), "hex": made.hex()}


def _id(inputs: Properties) -> tuple[str, Mapping[str, Value]]:
    made = secrets.token_bytes(inputs["byteLength"])
    prefix = inputs.get("prefix", "")
    url = base64.urlsafe_b64encode(made).decode().rstrip("=")
    return url, {
        "b64Url": prefix + url,
        "b64Std": prefix + base64.b64encode(made).decode(),
        "hex": prefix + made.hex(),
        "dec": prefix + str(int.from_bytes(made)),
    }


def _uuid(_: Properties) -> tuple[str, Mapping[str, Value]]:
    made = str(uuid.uuid4())
    return made, {"result": made}


def _pet(inputs: Properties) -> tuple[str, Mapping[str, Value]]:
    length = inputs.get("length", 2)
    kinds = ["adverb"] * max(0, length - 2) + ["adjective"] * (length > 1) + ["animal"]
    words = [inputs["prefix"]] if inputs.get("prefix") else []
    words += [secrets.choice(_WORDS[kind]) for kind in kinds]
    return inputs.get("separator", "-").join(words), {}


def _integer(inputs: Properties) -> tuple[str, Mapping[str, Value]]:
    made = inputs["min"] + secrets.randbelow(inputs["max"] - inputs["min"] + 1)
    return str(made), {"result": made}


_MAKERS: Final[Mapping[str, Callable[[Properties], tuple[str, Mapping[str, Value]]]]] = {
    "RandomPassword": _password,
    "RandomString": _string,
    "RandomBytes": _bytes,
    "RandomId": _id,
    "RandomUuid": _uuid,
    "RandomUuid4": _uuid,
    "RandomPet": _pet,
    "RandomInteger": _integer,
}
