"""What the gcp stand-in knows agrees with the SDK and with itself."""

import importlib
import inspect
import re
import types as standard_types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi._types as sdk
import pytest

from testbed.engine.description import RULES, Input, ResourceType, load

RULES_OF_GCP = load("gcp")
CLUSTER = "gcp:container/cluster:Cluster"
IMAGE = "gcp:artifactregistry/getDockerImage:getDockerImage"
types = pytest.mark.parametrize("token", RULES_OF_GCP.types)


# -- the data agrees with the SDK


def sdk_class(token: str, suffix: str = "") -> Any:
    _, path, name = token.split(":")
    return getattr(importlib.import_module(f"pulumi_gcp.{path.partition('/')[0]}"), name + suffix)


def bare(hint: Any) -> Any:
    """``hint`` without Optional, Input and the typed dictionary beside each Args class."""
    while typing.get_origin(hint) in (typing.Union, standard_types.UnionType):
        parts = [part for part in typing.get_args(hint) if not re.search(r"Awaitable|Output\[|NoneType", str(part))]
        hint = next((part for part in parts if sdk.is_input_type(part)), parts[0])
    return hint


def kind_of(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin in (Sequence, list):
        return "list"
    if origin in (Mapping, dict):
        return "map"
    return {str: "string", int: "integer", float: "number", bool: "boolean"}.get(hint, "object")


def strangers(entry: Input, hint: Any, path: str) -> Iterator[str]:
    """What of ``entry`` the SDK does not know, or knows as another type."""
    hint = bare(hint)
    found = "list" if entry.type == "set" else entry.type
    if kind_of(hint) != found and (found, kind_of(hint)) != ("number", "integer"):
        yield f"{path} is a {entry.type}, in the SDK {kind_of(hint)}"
    elif entry.type == "object":
        known = sdk.input_type_types(hint)
        for key, inner in entry.properties.items():
            yield from strangers(inner, known[key], f"{path}.{key}") if key in known else [f"{path}.{key}"]
    elif entry.items:
        yield from strangers(entry.items, typing.get_args(hint)[-1], f"{path}[]")


@types
def test_every_property_is_one_of_the_sdk_and_has_its_type(token: str) -> None:
    known = sdk.input_type_types(sdk_class(token, "Args"))
    inputs = RULES_OF_GCP.types[token].inputs
    wrong = [key for key in inputs if key not in known]
    wrong += [text for key, entry in inputs.items() if key in known for text in strangers(entry, known[key], key)]
    assert wrong == []


def test_a_misspelled_property_of_the_data_would_be_found() -> None:
    entry = Input(type="object", properties={"enabeld": Input(type="boolean")})
    hint = sdk.input_type_types(sdk_class(CLUSTER, "Args"))["secretManagerConfig"]
    assert list(strangers(entry, hint, "x")) == ["x.enabeld"]
    assert list(strangers(Input(type="string"), hint, "x")) == ["x is a string, in the SDK object"]


@types
def test_every_required_property_of_the_sdk_is_required(token: str) -> None:
    constructor = inspect.signature(sdk_class(token, "Args").__init__).parameters
    required = {name for name, given in constructor.items() if given.default is inspect.Parameter.empty}
    camel = sdk.input_type_py_to_pulumi_names(sdk_class(token, "Args"))
    names = {camel[name] for name in required if not name.startswith("__")}
    assert names <= {key for key, entry in RULES_OF_GCP.types[token].inputs.items() if entry.required}


@types
def test_every_output_is_one_of_the_sdk(token: str) -> None:
    known = sdk.resource_types(sdk_class(token))
    inside = sdk.input_type_types(sdk_class(token, "Args"))
    for path in RULES_OF_GCP.types[token].outputs:
        first, *rest = path.split(".")
        assert first in known
        hint = bare(inside[first]) if rest else None
        for part in rest:
            assert part in sdk.input_type_types(hint)
            hint = bare(sdk.input_type_types(hint)[part])


def test_the_function_takes_the_arguments_of_the_sdk_and_answers_with_its_fields() -> None:
    module = importlib.import_module("pulumi_gcp.artifactregistry")
    camel = {
        re.sub(r"_(.)", lambda m: m[1].upper(), name) for name in inspect.signature(module.get_docker_image).parameters
    }
    function = RULES_OF_GCP.functions[IMAGE]
    assert camel - {"opts"} == set(function.inputs)
    fields = set(inspect.signature(module.GetDockerImageResult.__init__).parameters) - {"__self__"}
    answered = {re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), key) for key in {*function.result, *function.inputs}}
    assert fields == answered


# -- the data agrees with itself


def reaches(fields: dict[str, Input], path: str) -> bool:
    first, _, rest = path.partition(".")
    entry = fields.get(first.removesuffix("[*]"))
    if entry is None:
        return False
    if entry.items and first.endswith("[*]"):
        entry = entry.items
    return not rest or reaches(entry.properties, rest)


def rule_paths(described: ResourceType) -> Iterator[str]:
    for rule in described.combinations:
        paths = [*rule.exactly_one, *rule.at_least_one, *rule.at_most_one, *rule.when, *rule.then]
        for condition in (*rule.when.values(), *rule.then.values()):
            paths += [limit for limit in (condition.at_least, condition.at_most) if isinstance(limit, str)]
        yield from (f"{rule.within}.{path}" if rule.within else path for path in paths)
    for protection in described.protected:
        yield from protection.when


def siblings(fields: dict[str, Input]) -> Iterator[str]:
    for key, entry in fields.items():
        yield from (f"{key}: {other}" for other in entry.conflicts if other not in fields)
        yield from [f"{key}: {entry.grown_by}"] if entry.grown_by and entry.grown_by not in fields else []
        yield from siblings(entry.properties)
        yield from siblings(entry.items.properties) if entry.items else []


@types
def test_every_rule_is_about_properties_that_exist(token: str) -> None:
    described = RULES_OF_GCP.types[token]
    assert [path for path in rule_paths(described) if not reaches(described.inputs, path)] == []
    assert list(siblings(described.inputs)) == []


@types
def test_every_template_is_about_properties_that_exist(token: str) -> None:
    described = RULES_OF_GCP.types[token]
    assert described.id
    known = {*described.inputs, *described.outputs}
    texts = [described.id, described.on_delete, *(str(output.value) for output in described.outputs.values())]
    assert {place for text in texts for place in re.findall(r"\{(\w+)(?:\|\w+)?\}", text)} <= known


@types
def test_every_type_names_its_source_files(token: str) -> None:
    source = RULES_OF_GCP.types[token].source
    assert re.search(r"pulumi_gcp/\w+/\w+\.py", source)
    assert re.search(r"terraform-provider-google-beta at [0-9a-f]{10}, google-beta/services/\w+/\w+\.go", source)
    assert importlib.import_module(re.findall(r"(pulumi_gcp/\w+/\w+)\.py", source)[0].replace("/", "."))


def test_every_pattern_is_a_regular_expression_that_admits_no_empty_text() -> None:
    def patterns(entry: Input) -> Iterator[str]:
        yield from [entry.pattern] if entry.pattern else []
        for inner in (*entry.properties.values(), *([entry.items] if entry.items else [])):
            yield from patterns(inner)

    found = {p for t in RULES_OF_GCP.types.values() for entry in t.inputs.values() for p in patterns(entry)}
    assert len(found) > 20
    assert [pattern for pattern in found if re.fullmatch(pattern, "")] == ["[-_a-z0-9]{0,63}"]  # a label may be empty


def test_every_file_of_the_rules_is_loaded() -> None:
    described = set(RULES_OF_GCP.files.values())
    files = {f"gcp/{path.name}" for path in (RULES / "gcp").glob("*.yaml")}
    assert files - described == {"gcp/node-config.yaml"}  # shapes only
