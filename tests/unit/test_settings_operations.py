"""What is refused in the settings of an operator's decisions, and in which words."""

from collections.abc import Callable

import pytest

from infra.settings import SettingsError
from tests.unit.stack_files import Tree, changed, settings, stack_config


def refused(change: Callable[[Tree], object]) -> str:
    with pytest.raises(SettingsError) as caught:
        settings(changed(stack_config("local"), change))
    return str(caught.value)


def airflow(**changes: object) -> Callable[[Tree], object]:
    return lambda tree: tree["airflows"][0].update(changes)


def secrets(**changes: object) -> Callable[[Tree], object]:
    return lambda tree: tree.update(secrets={"main": changes})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (airflow(connections={"a b": {"type": "http"}}), 'connections: "a b" is no name that Airflow takes'),
        (airflow(variables={" x": "1"}), 'variables: " x" is no name that Airflow takes'),
        (airflow(pools={"a/b": {"slots": 1}}), 'pools: "a/b" is no name that Airflow takes'),
        (airflow(variables={"x": 1}), "airflows.main.variables.x: 1 must be a valid string"),
        (airflow(pools={"a": {"slots": -2}}), "airflows.main.pools.a.slots: -2 must be greater than or equal to -1"),
        (airflow(connections={"a": {"typ": "http"}}), "typ: unknown key. Did you mean 'type'?"),
        (
            secrets(connections={"a": {"password": "x"}}),
            "secrets.main.connections.a: there is no connection of that id",
        ),
        (secrets(connections={"a": {"password": ""}}), "secrets.main.connections.a.password: the value given"),
        (secrets(smtpPassword="x"), "secrets.main.smtpPassword: nothing reads it"),
        (
            airflow(smtp={"host": "m", "user": "u", "sender": "a@b.c"}),
            "secrets.main.smtpPassword: is missing, and airflows.main.smtp has a user. Set it with: pulumi config set",
        ),
        (
            airflow(smtp={"host": "m", "sender": "a@b.c"}, connections={"smtp_default": {"type": "smtp"}}),
            "connections.smtp_default: is what airflows.main.smtp makes",
        ),
        (airflow(secretsBackend={"kind": "secret-manager"}), "secretsBackend: Secret Manager is Google Cloud's"),
        (airflow(rotations={"fernetKey": 2}), "fernetKeyInUse: 0 does not go with fernetKey 2"),
        (airflow(rotations={"fernetKeyInUse": 1}), "fernetKeyInUse: 1 does not go with fernetKey 0"),
        (airflow(housekeeping={"keepRunsDays": 7}), "keepRunsDays: 7 must be greater than or equal to 30"),
        (airflow(housekeeping={"schedule": "daily"}), 'schedule: "daily" does not have the form'),
    ],
)
def test_a_mistake_is_named_with_its_mend(change: Callable[[Tree], object], said: str) -> None:
    assert said in refused(change)


def test_one_thing_said_twice_is_refused_without_showing_it() -> None:
    def change(tree: Tree) -> None:
        tree["airflows"][0].update(
            connections={"a": {"type": "http", "login": "l", "extra": {"k": 1}}}, variables={"v": "x"}
        )
        tree["secrets"] = {
            "main": {"connections": {"a": {"login": "hush", "extra": {"k": "hush"}}}, "variables": {"v": "hush"}}
        }

    text = refused(change)
    assert "secrets.main.connections.a.login: stands in airflows.main.connections.a, too" in text
    assert "secrets.main.connections.a.extra.k: stands in" in text
    assert "secrets.main.variables.v: stands under airflows.main.variables, too" in text
    assert "hush" not in text


def test_a_password_is_not_sent_in_clear() -> None:
    def change(tree: Tree) -> None:
        tree["airflows"][0]["smtp"] = {"host": "m", "user": "u", "sender": "a@b.c", "security": "none"}
        tree["secrets"] = {"main": {"smtpPassword": "x"}}

    assert "smtp.security: 'none' would send the password in clear" in refused(change)


def test_given_fernet_keys_are_not_ours_to_make_anew() -> None:
    def change(tree: Tree) -> None:
        tree["airflows"][0]["rotations"] = {"fernetKey": 1}
        tree["secrets"] = {"main": {"fernetKey": "A" * 43 + "="}}

    assert "rotations.fernetKey: the keys are given in secrets.main" in refused(change)
