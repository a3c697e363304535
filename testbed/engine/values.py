"""Property values of the provider protocol as Python values, and back.

The protocol carries JSON; what JSON can't say (a value that is secret, one that is not known yet) it says with
reserved keys and strings. Here those become ``Secret`` and ``UNKNOWN``, everything else a plain Python value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""The key that marks an object as something other than an object."""
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (the protocol's marker, no secret)
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
RESOURCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"

UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWN_STRINGS: Final = frozenset(
    {
        UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)

Value = Any
"""None, bool, int, float, str, ``list`` and ``dict`` of values, ``Secret`` or ``UNKNOWN``."""
Properties = dict[str, Any]


class Unknown:
    """A value that a preview does not know yet."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, repr=False)
class Secret:
    """A value that the engine must encrypt in the state and hide in what it prints."""

    value: Value

    def __repr__(self) -> str:
        return "Secret(…)"


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """The properties in ``struct``."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def _from_value(value: struct_pb2.Value) -> Value:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWN_STRINGS else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "struct_value":
        return _from_object(value.struct_value)
    return None


def _from_object(struct: struct_pb2.Struct) -> Value:
    if SIGNATURE not in struct.fields:
        return from_struct(struct)
    signature = struct.fields[SIGNATURE].string_value
    if signature == SECRET:
        return Secret(_from_value(struct.fields["value"]))
    if signature == OUTPUT:
        inner: Value = _from_value(struct.fields["value"]) if "value" in struct.fields else UNKNOWN
        return Secret(inner) if struct.fields["secret"].bool_value else inner
    if signature == RESOURCE:
        part = "id" if "id" in struct.fields else "urn"
        return _from_value(struct.fields[part])
    return from_struct(struct)  # an asset or an archive: passed through as it is


def to_struct(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """``properties`` for the wire."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        _fill(struct.fields[key], value)
    return struct


def _fill(target: struct_pb2.Value, value: Value) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif value is UNKNOWN:
        target.string_value = UNKNOWN_STRING
    elif isinstance(value, Secret):
        target.struct_value.fields[SIGNATURE].string_value = SECRET
        _fill(target.struct_value.fields["value"], value.value)
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for key, item in value.items():
            _fill(target.struct_value.fields[key], item)
    elif isinstance(value, list | tuple):
        target.list_value.SetInParent()
        for item in value:
            _fill(target.list_value.values.add(), item)
    else:
        raise TypeError(f"a {type(value).__name__} can't be sent to the engine")


def plain(value: Value) -> Value:
    """``value`` without its secret wrappers: for computing and for sending to the cluster, never for output."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def has_unknown(value: Value) -> bool:
    """Whether anything in ``value`` is not known yet."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def has_secret(value: Value) -> bool:
    """Whether anything in ``value`` is secret."""
    if isinstance(value, dict):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(has_secret(item) for item in value)
    return isinstance(value, Secret)


def secret_like(outputs: Value, inputs: Value) -> Value:
    """``outputs`` with secret wherever ``inputs`` are.

    Objects are compared key by key. A list that holds a secret anywhere becomes secret whole, because a server may
    reorder lists and a secret must not leak by having moved (pulumi-kubernetes does the same).
    """
    if isinstance(outputs, Secret):
        return outputs
    if isinstance(outputs, dict) and isinstance(inputs, dict):
        return {key: secret_like(value, inputs.get(key)) for key, value in outputs.items()}
    return Secret(plain(outputs)) if has_secret(inputs) else outputs
