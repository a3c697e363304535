"""Kubernetes objects as data: names, normal forms, and what of a live object belongs to the program."""

import base64
import copy
import re
import secrets
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from testbed.engine.values import UNKNOWN, Properties, Secret, Value, has_unknown, plain, secret_like

AUTONAMED: Final = "pulumi.com/autonamed"
SKIP_AWAIT: Final = "pulumi.com/skipAwait"
WAIT_FOR: Final = "pulumi.com/waitFor"
TIMEOUT_SECONDS: Final = "pulumi.com/timeoutSeconds"
REPLACE_UNREADY: Final = "pulumi.com/replaceUnready"
PATCH_FORCE: Final = "pulumi.com/patchForce"
PATCH_FIELD_MANAGER: Final = "pulumi.com/patchFieldManager"
DELETION_PROPAGATION: Final = "pulumi.com/deletionPropagationPolicy"
"""The annotations that pulumi-kubernetes reads (metadata/annotations.go)."""

INPUTS: Final = "__inputs"
INITIAL_API_VERSION: Final = "__initialApiVersion"
FIELD_MANAGER: Final = "__fieldManager"
"""What pulumi-kubernetes keeps in the state beside the live object (provider.go, checkpointObject)."""

_READ_ONLY = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_DASHED = {
    f"x_kubernetes_{name}": f"x-kubernetes-{name.replace('_', '-')}"
    for name in (
        "embedded_resource",
        "int_or_string",
        "list_map_keys",
        "list_type",
        "map_type",
        "preserve_unknown_fields",
        "validations",
    )
}
_UNDERSCORED = {dashed: name for name, dashed in _DASHED.items()}
_QUANTITY_PARENTS = frozenset(
    {"limits", "requests", "hard", "capacity", "storage", "sizeLimit", "averageValue", "overhead", "min", "max"}
    | {"default", "defaultRequest", "divisor", "podFixed"}
)
_SUFFIXES = {
    "": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip


def gvk(obj: Properties) -> str:
    """``apiVersion/Kind``, e.g. ``apps/v1/Deployment`` or ``v1/Secret``."""
    return f"{obj.get('apiVersion')}/{obj.get('kind')}"


def metadata(obj: Properties) -> Properties:
    """Its metadata, empty where it has none or it is unknown."""
    found = plain(obj.get("metadata"))
    return found if isinstance(found, dict) else {}


def name_of(obj: Properties) -> str:
    """Its name, empty where it is unknown or missing."""
    name = metadata(obj).get("name")
    return name if isinstance(name, str) else ""


def namespace_of(obj: Properties) -> str:
    """Its namespace, empty where it is unknown or it has none."""
    namespace = metadata(obj).get("namespace")
    return namespace if isinstance(namespace, str) else ""


def id_of(obj: Properties) -> str:
    """``namespace/name``, or the name alone for what belongs to no namespace."""
    return f"{namespace_of(obj)}/{name_of(obj)}" if namespace_of(obj) else name_of(obj)


def title(obj: Properties) -> str:
    """How messages name it, e.g. ``deployment/airflow/api-server``."""
    return f"{str(obj.get('kind')).lower()}/{id_of(obj)}"


def annotation(obj: Properties, key: str) -> str:
    """The annotation's value, empty where there is none."""
    annotations = metadata(obj).get("annotations")
    value = annotations.get(key) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else ""


def assign_name(inputs: Properties, olds: Properties, resource: str, seed: bytes) -> Properties:
    """``inputs`` with a name: their own, the one they had, or ``<resource>-<7 hex digits>``."""
    meta = inputs.get("metadata")
    if isinstance(meta, Secret) or meta is UNKNOWN or (isinstance(meta, dict) and meta.get("name") is not None):
        return inputs
    kept = name_of(olds) if annotation(olds, AUTONAMED) == "true" else ""
    name = kept or f"{resource.lower()}-{seed.hex()[:8] or secrets.token_hex(4)}"
    meta = dict(meta or {})
    if meta.get("annotations") is not UNKNOWN:
        meta["annotations"] = {**(meta.get("annotations") or {}), AUTONAMED: "true"}
    return {**inputs, "metadata": {**meta, "name": name}}


def normalized(inputs: Properties) -> Properties:
    """``inputs`` in the form that the server keeps: no nulls, no read-only metadata, ``stringData`` as ``data``."""
    result: Properties = _without_nulls(inputs)
    meta = result.get("metadata")
    if isinstance(meta, dict):
        result["metadata"] = {key: value for key, value in meta.items() if key not in _READ_ONLY}
    if gvk(result) == "v1/Secret":
        result = _secret_normalized(result)
    return result


def _secret_normalized(obj: Properties) -> Properties:
    result = {key: value for key, value in obj.items() if key not in ("data", "stringData")}
    clear, data = plain(obj.get("stringData")), plain(obj.get("data"))
    if has_unknown(clear) or has_unknown(data):
        return {**result, **{k: _sealed(obj[k]) for k in ("data", "stringData") if k in obj}}
    merged = {key: _reencoded(value) for key, value in (data or {}).items()}
    merged |= {key: base64.b64encode(str(value).encode()).decode() for key, value in (clear or {}).items()}
    return {**result, "data": Secret(merged)} if merged or "data" in obj or "stringData" in obj else result


def _sealed(value: Value) -> Value:
    return value if value is UNKNOWN or isinstance(value, Secret) else Secret(value)


def _reencoded(value: Value) -> Value:
    try:
        return base64.b64encode(base64.b64decode(value, validate=False)).decode()
    except (ValueError, TypeError):
        return value  # the server will say what is wrong with it


def _without_nulls(value: Value) -> Value:
    if isinstance(value, Secret):
        return Secret(_without_nulls(value.value))
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def manifest(inputs: Properties) -> Properties:
    """What is sent to the server for ``inputs``: in clear, so it must go nowhere else."""
    body = _renamed(plain(normalized(inputs)), _DASHED)
    return {key: value for key, value in body.items() if not key.startswith("__") and key != "status"}


def _renamed(value: Value, names: dict[str, str]) -> Value:
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


def state(inputs: Properties, live: Properties, field_manager: str, api_version: str = "") -> Properties:
    """What goes into the engine's state: the live object, and beside it what pulumi-kubernetes keeps there too.

    Secret in it: the data of every Secret, and whatever came in secret, at the same place. The field managers of the
    object are left out: they are long and the state has no use for them.
    """
    shown = _renamed(copy.deepcopy(live), _UNDERSCORED)
    shown.get("metadata", {}).pop("managedFields", None)
    shown = secret_like(shown, inputs)
    # kubectl's copy of a whole object, which for a Secret holds its data in clear
    annotations = shown.get("metadata", {}).get("annotations")
    if isinstance(annotations, dict):
        annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    if shown.get("kind") == "Secret":
        shown = {key: _sealed(value) if key in ("data", "stringData") else value for key, value in shown.items()}
    return {
        **shown,
        INPUTS: inputs,
        INITIAL_API_VERSION: api_version or inputs.get("apiVersion", live.get("apiVersion")),
        FIELD_MANAGER: field_manager,
    }


def preview_state(inputs: Properties, live: Properties, created: bool) -> Properties:
    """The outputs of a dry run: without what only the real run will know."""
    shown = copy.deepcopy(live)
    shown.pop("status", None)
    if created:
        for key in ("uid", "creationTimestamp", "resourceVersion", "generation"):
            shown.get("metadata", {}).pop(key, None)
        if shown.get("kind") == "Service":
            for key in ("clusterIP", "clusterIPs"):
                if key not in (plain(inputs.get("spec")) or {}):
                    shown.get("spec", {}).pop(key, None)
    return state(inputs, shown, "")


def inputs_from_live(inputs: Value, live: Value, parent: str = "") -> Value:
    """``inputs`` as they would read had the program asked for what is ``live``.

    Fields that the program says nothing about are left out; a value that the server writes in another way but means
    the same (``1000m`` and ``1``) keeps the program's spelling. Both sides are without secret wrappers.
    """
    if isinstance(inputs, dict) and isinstance(live, dict):
        return {
            key: inputs_from_live(value, live[key], _quantity_parent(parent, key)) if key in live else value
            for key, value in inputs.items()
            if key in live or _empty(value) or key.startswith("__")
        }
    if isinstance(inputs, list) and isinstance(live, list):
        pairs = _pairs(inputs, live)
        return [inputs_from_live(mine, theirs, parent) for mine, theirs in pairs]
    if parent in _QUANTITY_PARENTS and quantity(inputs) is not None and quantity(inputs) == quantity(live):
        return inputs
    return inputs if _same_scalar(inputs, live) else live


def _quantity_parent(parent: str, key: str) -> str:
    return parent if parent in _QUANTITY_PARENTS and parent not in ("storage", "default", "min", "max") else key


def _pairs(inputs: list[Any], live: list[Any]) -> list[tuple[Any, Any]]:
    if all(isinstance(item, dict) and "name" in item for item in [*inputs, *live]):
        named = {item["name"]: item for item in live}
        return [(item, named[item["name"]]) for item in inputs if item["name"] in named]
    return list(zip(inputs, live, strict=False))


def _empty(value: Value) -> bool:
    """What Go's ``omitempty`` leaves out, so its absence is no difference."""
    return value in (None, "", False, 0) or value in ([], {})


def _same_scalar(mine: Value, theirs: Value) -> bool:
    if isinstance(mine, bool) or isinstance(theirs, bool):
        return mine is theirs
    if isinstance(mine, int | float) and isinstance(theirs, int | float):
        return mine == theirs
    return bool(mine == theirs)


def quantity(value: Value) -> Decimal | None:
    """The number that a Kubernetes quantity such as ``500m`` or ``2Gi`` stands for; ``None`` if it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    match = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(|[numkMGTPE]|[KMGTPE]i)", str(value))
    try:
        return Decimal(match[1]) * _SUFFIXES[match[2]] if match else None
    except InvalidOperation:
        return None
