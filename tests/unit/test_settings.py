"""A stack's configuration is checked whole, before anything is created."""

import copy
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings import SettingsError, parse
from tests.unit.stack_files import Tree, changed, settings, stack_config


def problems(change: Callable[[Tree], object]) -> str:
    """What the settings say to a changed local stack."""
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config("local"), change))
    return str(refused.value)


def first(tree: Tree) -> Tree:
    """The configuration of the stack's first Airflow."""
    entry: Tree = tree["airflows"][0]
    return entry


def test_the_local_stack_is_valid() -> None:
    read = settings(stack_config("local"))
    assert [airflow.name for airflow in read.airflows] == ["main"]
    assert read.ephemeral


def test_settings_cannot_be_changed_after_they_were_checked() -> None:
    read = settings(stack_config("local"))
    with pytest.raises(ValueError, match="frozen"):
        read.airflows[0].name = "other"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.update(clutser={}), "clutser: unknown key. Did you mean 'cluster'?"),
        (lambda t: first(t).update(exekutor="x"), "airflows.main.exekutor: unknown key. Did you mean 'executor'?"),
        (lambda t: first(t)["dags"].update(tag="x"), "airflows.main.dags.tag: unknown key."),
        (lambda t: t.pop("database"), "database: is missing"),
        (lambda t: first(t).update(parallelism="5"), 'airflows.main.parallelism: "5" must be a valid integer'),
        (lambda t: first(t).update(parallelism=0), "airflows.main.parallelism: 0 must be greater than or equal to 1"),
        (lambda t: first(t).update(executor="Celery"), "must be 'KubernetesExecutor', 'CeleryExecutor' or"),
        (
            lambda t: first(t).update(name="Team_A"),
            'airflows.Team_A.name: "Team_A" does not have the form of a DNS label',
        ),
        (lambda t: first(t).update(name="a" * 41), "at most 40 characters"),
        (lambda t: t["airflows"].append(copy.deepcopy(first(t))), "the name 'main' is used 2 times"),
        (lambda t: t.update(airflows=[]), "airflows: [] tuple should have at least 1 item"),
        (lambda t: first(t).update(taskLogs={"kind": "s3"}), "must be one of 'volume', 'gcs', 'elasticsearch'"),
        (lambda t: first(t).update(taskLogs={"kind": "volume", "size": "5GB"}), 'taskLogs.size: "5GB"'),
        (
            lambda t: first(t).update(taskLogs={"kind": "volume", "accessMode": "ReadWriteMany"}),
            "ReadWriteMany needs a storageClass",
        ),
        (
            lambda t: first(t).update(taskLogs={"kind": "elasticsearch", "url": "https://u:p@h"}),
            "does not have the form",
        ),
        (lambda t: first(t).update(baseUrl="https://example.com/"), "airflows.main.baseUrl"),
        (lambda t: t.update(secrets={"man": {}}), "secrets.man: there is no Airflow of that name. Known are: main"),
        (lambda t: t.update(images={"overrides": {"postgress": "x"}}), "images.overrides.postgress: no such image"),
        (
            lambda t: (first(t).update(rotations={"jwtSecret": 1}), t.update(secrets={"main": {"jwtSecret": "mine"}})),
            "airflows.main.rotations.jwtSecret: the value is given",
        ),
        (lambda t: t["cluster"].pop("context"), "cluster.context: is missing"),
        (lambda t: t.update(ephemeral="yes"), 'ephemeral: "yes" must be a valid boolean'),
    ],
)
def test_a_mistake_is_named_by_its_key_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    assert expected in problems(change)


def test_all_mistakes_are_reported_at_once() -> None:
    def change(tree: Tree) -> None:
        tree["clutser"] = {}
        first(tree).update(parallelism="5", name="Team_A")
        first(tree)["dags"]["kind"] = "svn"

    text = problems(change)
    assert text.startswith("the stack's configuration has 4 problems; nothing was created:")
    assert text.count("\n  - ") == 4


@pytest.mark.parametrize("secret", ["hunter2", "", 12345])
def test_a_wrong_secret_is_refused_without_being_shown(secret: object) -> None:
    text = problems(lambda t: t.update(secrets={"main": {"fernetKey": secret}}))
    assert "secrets.main.fernetKey" in text
    assert "hunter2" not in text
    assert "12345" not in text


def test_a_secret_does_not_show_in_the_settings_text() -> None:
    read = settings(changed(stack_config("local"), lambda t: t.update(secrets={"main": {"adminPassword": "hunter2"}})))
    assert "hunter2" not in repr(read)
    password = read.secrets["main"].admin_password
    assert password is not None
    assert password.get_secret_value() == "hunter2"


def test_a_plain_text_where_an_object_is_wanted_is_refused() -> None:
    with pytest.raises(SettingsError, match=r'cluster: "gke" must be an object'):
        parse({"cluster": "gke"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(key=st.sampled_from(["cluster", "database", "airflows", "images", "secrets", "ephemeral"]), value=json_values)
def test_no_configuration_whatever_makes_it_crash(key: str, value: object) -> None:
    try:
        settings(changed(stack_config("local"), lambda t: t.update({key: value})))
    except SettingsError as error:
        assert "problem" in str(error)  # noqa: PT017 (either outcome is right, a crash is not)
