"""What the rules of a described stand-in can say over several properties, of changes, and of computed values."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from testbed.engine import description
from testbed.engine.combinations import Combination, Condition
from testbed.engine.comparing import changes
from testbed.engine.description import Input, ResourceType
from testbed.engine.diffing import path_text
from testbed.engine.judging import refusals
from testbed.engine.templates import fill, place
from testbed.engine.values import UNKNOWN, Properties


def combined(rule: dict[str, Any], inputs: Properties) -> dict[str, str]:
    return {wrong.property: wrong.reason for wrong in Combination.model_validate(rule).refusals(inputs)}


@pytest.mark.parametrize(
    ("rule", "good", "bad", "where"),
    [
        ({"exactly_one": ["a", "b"]}, {"a": 1}, {}, "a"),
        ({"exactly_one": ["a", "b"]}, {"b": 1}, {"a": 1, "b": 1}, "b"),
        ({"at_least_one": ["a", "b"]}, {"a": 1, "b": 1}, {"c": 1}, "a"),
        ({"at_most_one": ["a.x", "b"]}, {}, {"a": {"x": 1}, "b": 1}, "b"),
        ({"within": "a", "exactly_one": ["x", "y"]}, {}, {"a": {}}, "a.x"),
        ({"within": "a[*]", "at_most_one": ["x", "y"]}, {"a": [{"x": 1}]}, {"a": [{}, {"x": 1, "y": 1}]}, "a[1].y"),
    ],
)
def test_a_group_is_refused_where_too_few_or_too_many_are_given(
    rule: dict[str, Any], good: Properties, bad: Properties, where: str
) -> None:
    assert combined(rule, good) == {}
    assert set(combined(rule, bad)) == {where}


def test_what_is_not_known_yet_counts_as_given_but_is_never_one_too_many() -> None:
    assert combined({"exactly_one": ["a", "b"]}, {"a": UNKNOWN}) == {}
    assert combined({"exactly_one": ["a", "b"]}, {"a": UNKNOWN, "b": 1}) == {}


def implied(when: dict[str, Any], then: dict[str, Any], inputs: Properties) -> dict[str, str]:
    return combined({"when": when, "then": then, "says": "no: {a}.", "mend": "mend it."}, inputs)


@pytest.mark.parametrize(
    ("then", "good", "bad"),
    [
        (True, True, False),
        (["x", "y"], "y", "z"),
        ({"is": ["x"]}, "x", None),
        ({"not": ["x"]}, None, "x"),
        ({"set": True}, False, None),
        ({"set": False}, None, 0),
        ({"matches": "db-.*"}, "db-1", "other"),
        ({"at_least": 2}, 2, 1),
        ({"at_most": 2}, 2, 3),
        ({"at_most": "limit"}, 5, 6),
    ],
)
def test_one_value_may_ask_for_another(then: Any, good: Any, bad: Any) -> None:
    assert implied({"a": 1}, {"b": then}, {"a": 1, "b": good, "limit": 5}) == {}
    assert implied({"a": 1}, {"b": then}, {"a": 1, "b": bad, "limit": 5}) == {"b": "no: 1. Mend: mend it."}


def test_a_rule_whose_condition_does_not_hold_or_is_unknown_asks_for_nothing() -> None:
    assert implied({"a": 1}, {"b": True}, {"a": 2}) == {}
    assert implied({"a": 1}, {"b": True}, {"a": UNKNOWN}) == {}
    assert implied({"a": 1}, {"b": True}, {"a": 1, "b": UNKNOWN}) == {}
    assert implied({"a": 1}, {"b": {"at_most": "limit"}}, {"a": 1, "b": 9, "limit": UNKNOWN}) == {}


def test_a_rule_sees_the_vendors_defaults_and_a_group_does_not() -> None:
    fields = {"a": Input(type="boolean", default=True), "b": Input(type="string")}
    needs = Combination.model_validate({"when": {"a": True}, "then": {"b": {"set": True}}, "says": "s.", "mend": "m."})
    either = Combination.model_validate({"at_most_one": ["a", "b"]})
    kind = ResourceType(source="s", inputs=fields, combinations=(needs, either))
    assert [wrong.property for wrong in refusals(kind, {}, "f")] == ["b"]
    assert refusals(kind, {"b": "x"}, "f") == []


@pytest.mark.parametrize(
    "rule", [{}, {"exactly_one": ["a"], "at_most_one": ["a"]}, {"when": {"a": 1}, "then": {"b": 1}}]
)
def test_a_rule_that_says_nothing_or_two_things_is_no_rule(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Combination.model_validate(rule)


def test_a_bare_value_stands_for_being_that_value() -> None:
    assert Condition.model_validate("x").holds("x", {}) is True
    assert Condition.model_validate(["x", "y"]).holds("z", {}) is False


def compared(entry: dict[str, Any], old: Any, new: Any, *, blank: bool = False, **beside: Any) -> dict[str, bool]:
    fields = {"a": Input.model_validate(entry), "other": Input(type="boolean")}
    found = changes(ResourceType(source="s", inputs=fields), {"a": old}, {"a": new, **beside}, blank)
    return {path_text(change.path): forced for change, forced in found.items()}


TAINT = {"type": "object", "properties": {"key": {"type": "string", "replaces": True}, "value": {"type": "string"}}}


def test_a_set_in_another_order_is_the_same_and_a_list_is_not() -> None:
    items = {"type": "string"}
    assert compared({"type": "set", "items": items}, ["x", "y"], ["y", "x"]) == {}
    assert len(compared({"type": "list", "items": items}, ["x", "y"], ["y", "x"])) == 2


def test_only_the_elements_of_a_set_that_differ_are_named() -> None:
    assert compared({"type": "set", "items": TAINT}, [{"key": "x"}, {"key": "y"}], [{"key": "z"}, {"key": "x"}]) == {
        "a[0].key": True
    }


@pytest.mark.parametrize(
    ("entry", "old", "new", "expected"),
    [
        ({"type": "object", "replaces": "whole", **TAINT}, {"value": "x"}, {"value": "y"}, {"a.value": False}),
        ({"replaces": "whole", **TAINT}, {"key": "x"}, {"key": "y"}, {"a.key": True}),
        ({"replaces": "whole", **TAINT}, None, {"value": "y"}, {"a": True}),
        (TAINT, None, {"value": "y"}, {"a": False}),
        (TAINT, None, {"key": "y"}, {"a": True}),
        ({**TAINT, "replaces": True}, {"value": "x"}, {"value": "y"}, {"a.value": True}),
        ({"type": "list", "replaces": "whole", "items": TAINT}, [], [{"value": "x"}], {"a[0]": True}),
        ({"type": "integer", "replaces": "smaller"}, 20, 10, {"a": True}),
        ({"type": "integer", "replaces": "smaller"}, 10, 20, {"a": False}),
        ({"type": "string", "replaces": "shrunk"}, "10.0.0.0/20", "10.0.0.0/16", {"a": False}),
        ({"type": "string", "replaces": "shrunk"}, "10.0.0.0/16", "10.0.0.0/20", {"a": True}),
        ({"type": "string", "replaces": "removed"}, "x", None, {"a": True}),
        ({"type": "string", "replaces": "removed"}, "x", "y", {"a": False}),
        ({"type": "boolean", "replaces": "switched_off"}, True, False, {"a": True}),
        ({"type": "boolean", "replaces": "switched_off"}, False, True, {"a": False}),
        ({"type": "string", "replaces": True}, "x", UNKNOWN, {"a": True}),
    ],
)
def test_a_change_forces_a_replacement_only_where_the_rules_say_so(
    entry: dict[str, Any], old: Any, new: Any, expected: dict[str, bool]
) -> None:
    assert compared(entry, old, new) == expected


def test_a_value_that_the_vendor_fills_in_may_be_left_out_again() -> None:
    assert compared({"type": "string", "computed": True, "replaces": True}, "x", None) == {}
    assert compared({"type": "string"}, "x", None) == {"a": False}


def test_a_number_that_the_vendor_makes_grow_may_be_smaller_unless_that_is_switched_off() -> None:
    size = {"type": "integer", "replaces": "smaller", "grown_by": "other"}
    assert compared(size, 20, 10) == {}
    assert compared(size, 20, 10, other=False)["a"] is True


@pytest.mark.parametrize(
    ("like", "old", "new", "same"),
    [
        ("case", "docker", "DOCKER", True),
        ("case", "docker", "npm", False),
        (
            "link",
            "https://www.googleapis.com/compute/v1/projects/p/global/networks/n",
            "projects/p/global/networks/n",
            True,
        ),
        ("link", "projects/p/global/networks/n", "n", True),
        ("link", "projects/p/global/networks/n", "projects/q/global/networks/n", False),
        ("", "docker", "DOCKER", False),
    ],
)
def test_values_that_mean_the_same_are_no_change(like: str, old: str, new: str, same: bool) -> None:
    assert (compared({"type": "string", "like": like}, old, new) == {}) is same


def test_an_empty_value_is_no_value_only_where_the_provider_sees_it_so() -> None:
    assert compared({"type": "boolean", "replaces": True}, None, False, blank=True) == {}
    assert compared({"type": "boolean", "replaces": True}, None, False) == {"a": True}


def test_a_default_inside_an_object_is_no_change_when_it_is_written_out() -> None:
    entry = {"type": "object", "properties": {"b": {"type": "integer", "default": 5}}}
    assert compared(entry, {}, {"b": 5}) == {}
    assert compared(entry, {}, {"b": 6}) == {"a.b": False}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{a.b}-{c}", "x-3"),
        ("{c}", 3),
        ("{absent}", None),
        ("<{absent}>", "<>"),
        ([{"k": "{c}"}], [{"k": 3}]),
        ("{link|last}", "n"),
        ("{link|path}", "projects/p/global/networks/n"),
        ("{image|image} {image|digest}", "host:5000/app sha256:12"),
        ("{u}!", UNKNOWN),
    ],
)
def test_a_template_is_filled(template: Any, expected: Any) -> None:
    values = {
        "a": {"b": "x"},
        "c": 3,
        "u": UNKNOWN,
        "link": "https://www.googleapis.com/compute/v1/projects/p/global/networks/n",
        "image": "host:5000/app@sha256:12",
    }
    assert fill(template, values) == expected


def test_a_made_up_digest_is_the_same_each_time() -> None:
    assert fill("{i|digest}", {"i": "app:v1"}) == fill("{i|digest}", {"i": "app:v1"})
    assert fill("{i|digest}", {"i": "app:v1"}) != fill("{i|digest}", {"i": "app:v2"})


def test_a_computed_value_goes_inside_an_input_and_overwrites_nothing() -> None:
    assert place({"a": {"b": 1}}, "a.c.d", 2) == {"a": {"b": 1, "c": {"d": 2}}}
    assert place({"a": {"b": 1}}, "a.b", 2) == {"a": {"b": 1}}
    assert place({"a": UNKNOWN}, "a.b", 2) == {"a": UNKNOWN}


def test_rules_are_merged_from_a_file_and_a_folder_and_shapes_are_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(description, "RULES", tmp_path)
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged.yaml").write_text("source: s\nconfig: {project: p}\n")
    (tmp_path / "merged/one.yaml").write_text(
        "source: s\ntypes: {t: {source: s, inputs: {a: {type: object, shape: x}}}}\n"
    )
    (tmp_path / "merged/two.yaml").write_text("source: s\nshapes: {x: {b: {type: string}}}\n")
    loaded = description.load("merged")
    assert loaded.types["t"].inputs["a"].properties["b"].type == "string"
    assert loaded.files == {"t": "merged/one.yaml"}
    assert loaded.config == {"project": "p"}


def test_a_type_that_is_described_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(description, "RULES", tmp_path)
    (tmp_path / "twice").mkdir()
    (tmp_path / "twice.yaml").write_text("source: s\ntypes: {t: {source: s, inputs: {}}}\n")
    (tmp_path / "twice/one.yaml").write_text("source: s\ntypes: {t: {source: s, inputs: {}}}\n")
    with pytest.raises(ValueError, match=r"t is described both in twice\.yaml and in twice/one\.yaml"):
        description.load("twice")
