"""Property values on the wire."""

from testbed.engine.diffing import Change, differences, parse_path, path_text
from testbed.engine.values import (
    SIGNATURE,
    UNKNOWN,
    Secret,
    from_struct,
    has_secret,
    has_unknown,
    plain,
    secret_like,
    to_struct,
)


def test_values_survive_the_way_to_the_engine_and_back() -> None:
    properties = {
        "text": "a",
        "whole": 3,
        "part": 0.5,
        "yes": True,
        "nothing": None,
        "unknown": UNKNOWN,
        "list": [1, Secret({"deep": "x"}), UNKNOWN],
        "empty": {},
        "none": [],
    }
    assert from_struct(to_struct(properties)) == properties


def test_whole_numbers_arrive_as_integers() -> None:
    (value,) = from_struct(to_struct({"port": 8080.0})).values()
    assert isinstance(value, int)


def test_an_output_value_is_unwrapped_and_stays_secret() -> None:
    output = {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4", "value": "x", "secret": True, "dependencies": ["urn"]}
    assert from_struct(to_struct({"a": output})) == {"a": Secret("x")}


def test_an_output_without_a_value_is_unknown() -> None:
    assert from_struct(to_struct({"a": {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4"}})) == {"a": UNKNOWN}


def test_secrets_and_unknowns_are_found_at_any_depth() -> None:
    assert has_secret({"a": [{"b": Secret(1)}]})
    assert has_unknown({"a": Secret([{"b": UNKNOWN}])})
    assert plain({"a": Secret([Secret(1)])}) == {"a": [1]}


def test_a_printed_secret_shows_nothing() -> None:
    assert "swordfish" not in repr({"a": Secret("swordfish")})


def test_what_came_in_secret_goes_out_secret_at_the_same_place() -> None:
    inputs = {"data": {"a": Secret("x"), "b": "y"}, "list": [{"c": Secret("z")}]}
    outputs = {"data": {"a": "x", "b": "y"}, "list": [{"c": "z"}], "status": 1}
    assert secret_like(outputs, inputs) == {
        "data": {"a": Secret("x"), "b": "y"},
        "list": Secret([{"c": "z"}]),
        "status": 1,
    }


def test_differences_are_leaves_with_their_paths() -> None:
    old = {"spec": {"containers": [{"image": "a", "env": [1]}], "gone": 1}}
    new = {"spec": {"containers": [{"image": "b", "env": [1, 2]}], "come": 1}}
    assert set(differences(old, new)) == {
        Change(("spec", "containers", 0, "image"), "update"),
        Change(("spec", "containers", 0, "env", 1), "add"),
        Change(("spec", "gone"), "delete"),
        Change(("spec", "come"), "add"),
    }


def test_null_and_missing_are_the_same() -> None:
    assert not list(differences({"a": None}, {"b": None}))


def test_a_value_that_is_not_known_yet_differs() -> None:
    assert list(differences({"a": "x"}, {"a": UNKNOWN})) == [Change(("a",), "update")]


def test_true_is_not_one() -> None:
    assert list(differences({"a": 1}, {"a": True})) == [Change(("a",), "update")]


def test_paths_are_written_and_read_in_the_engines_notation() -> None:
    path = ("metadata", "annotations", "a.b/c", 0, "plain")
    assert path_text(path) == 'metadata.annotations["a.b/c"][0].plain'
    assert parse_path(path_text(path)) == path
