"""How people and programs sign in: what is registered, what settings are refused, and whom the web server lets in."""

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.settings import SettingsError
from tests.unit.policy_world import Pod, World
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config
from tests.unit.test_environment import pods

OIDC = {
    "kind": "oidc",
    "issuer": "https://id.example.com/realms/data",
    "clientId": "airflow-main",
    "domains": ["example.com"],
    "roles": {"airflow-admins": ["Admin"], "analysts": ["Viewer"]},
}
GOOGLE = {
    "kind": "google",
    "clientId": "1.apps.googleusercontent.com",
    "domains": ["example.com"],
    "roles": {"boss@example.com": ["Admin"]},
    "defaultRole": "Viewer",
}
CLIENT_SECRET = "the provider's own secret"


def signs_in(sign_in: Tree | None = None, secret: str | None = CLIENT_SECRET, **more: Any) -> Callable[[Tree], object]:
    def change(tree: Tree) -> None:
        tree["airflows"][0].update(more)
        if sign_in is not None:
            tree["airflows"][0]["signIn"] = sign_in
        if secret is not None:
            tree["secrets"] = {"main": {"oidcClientSecret": secret}}

    return change


def files(recording: Recording) -> dict[str, str]:
    return dict(recording.one("ConfigMap", "main-config").inputs["data"])


def test_the_providers_secret_is_in_the_api_servers_pod_and_nowhere_else() -> None:
    recorded = deployed(change=signs_in(OIDC))
    assert json.loads(files(recorded)["sign_in.json"])["client_id"] == "airflow-main"
    assert CLIENT_SECRET not in json.dumps(files(recorded))
    secret = recorded.one("Secret", "main-sign-in")
    assert secret.inputs["stringData"] == {"client-secret": CLIENT_SECRET}
    assert any("stringData" in path for path in secret.secret_paths)
    with_it = {name for name, spec in pods(recorded).items() if "'sign-in'" in str(spec["volumes"])}
    assert with_it == {"main-api-server"}


def test_the_api_server_may_connect_to_the_provider_and_no_other_part_may() -> None:
    world = World(deployed(change=signs_in({**OIDC, "issuer": "https://198.51.100.7:8443/x"})))
    component = "app.kubernetes.io/component"
    assert world.passes(Pod("airflow-main", {component: "api-server"}), "198.51.100.7", 8443)
    assert not world.passes(Pod("airflow-main", {component: "scheduler"}), "198.51.100.7", 8443)


def test_every_api_client_has_a_user_a_role_and_a_password_of_its_own() -> None:
    clients = [{"name": "etl", "role": "Op"}, {"name": "reports"}]
    recorded = deployed(change=signs_in(secret=None, apiClients=clients))
    (container,) = pods(recorded)["main-create-admin"]["containers"]
    assert json.loads(container["command"][-2]) == {"client-etl": "Op", "client-reports": "User"}
    passwords = {
        name: recorded.one("Secret", f"main-client-{name}").inputs["stringData"]["password"]
        for name in ("etl", "reports")
    }
    assert len(set(passwords.values())) == 2
    # Only the Job knows of them: one more restarts nothing.
    assert files(recorded) == files(deployed())
    assert not [password for password in passwords.values() if password in str(container)]
    with_them = {name for name, spec in pods(recorded).items() if "api-clients" in str(spec["volumes"])}
    assert with_them == {"main-create-admin"}


def test_a_new_password_of_a_client_runs_the_job_that_sets_it() -> None:
    def job(rotation: int) -> str:
        client = {"name": "etl", "rotation": rotation}
        recorded = deployed(change=signs_in(secret=None, apiClients=[client]))
        return str(recorded.one("Job", "main-create-admin").inputs["metadata"]["name"])

    assert job(0) == job(0)
    assert job(0) != job(1)


MISTAKES: list[tuple[Callable[[Tree], object], str]] = [
    (signs_in(OIDC, secret=None), "secrets.main.oidcClientSecret: is missing"),
    (signs_in(None), "secrets.main.oidcClientSecret: is for signIn of kind 'oidc' or 'google'"),
    (signs_in({**OIDC, "roles": {}}), "airflows.main.signIn: nobody would have a role"),
    (signs_in({**OIDC, "domains": []}), "airflows.main.signIn.domains"),
    (signs_in({**OIDC, "scopes": ["email"]}), "airflows.main.signIn.scopes: without 'openid'"),
    (signs_in({**GOOGLE, "roles": {"admins": ["Admin"]}}), "signIn.roles.admins: Google names no groups"),
    (signs_in({**OIDC, "issuer": "https://id.example.com/"}), "does not have the form"),
    (
        lambda t: (signs_in({**OIDC, "issuer": "http://id.example.com"})(t), t.update(ephemeral=False)),
        "airflows.main.signIn.issuer: without TLS",
    ),
    (lambda t: (signs_in(OIDC)(t), t.pop("ingress")), "sends people back to this Airflow's address, and it has none"),
    (signs_in(secret=None, apiClients=[{"name": "a"}, {"name": "a"}]), "apiClients: the name 'a' is used 2 times"),
]


@pytest.mark.parametrize(("change", "expected"), MISTAKES)
def test_a_mistake_is_named_by_its_key_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config("local"), change))
    assert expected in str(refused.value)
    assert CLIENT_SECRET not in str(refused.value)


USERS = [
    types.SimpleNamespace(username="admin", email="boss@example.com"),
    types.SimpleNamespace(username="ana.before", email="was@example.com"),
]


def find_user(_: object, username: str | None = None, email: str | None = None) -> object:
    return next((user for user in USERS if username == user.username or email == user.email), None)


@pytest.fixture
def web_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Tree], dict[str, Any]]:
    """Reads webserver_config.py as Airflow does, with what a stack file gives it; Airflow itself is not here."""
    for name in ("airflow.providers.fab.auth_manager.security_manager.override", "flask_appbuilder.const"):
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
    manager = type("FabAirflowSecurityManagerOverride", (), {"find_user": find_user})
    vars(sys.modules["airflow.providers.fab.auth_manager.security_manager.override"])[manager.__name__] = manager
    vars(sys.modules["flask_appbuilder.const"]).update(AUTH_DB=1, AUTH_OAUTH=4)

    def read(sign_in: Tree) -> dict[str, Any]:
        shipped = files(deployed(change=signs_in(sign_in)))
        for name in ("webserver_config.py", "sign_in.json"):
            (tmp_path / name).write_text(shipped[name], encoding="utf-8")
        config = {"__file__": str(tmp_path / "webserver_config.py"), "__name__": "config"}
        exec(compile(shipped["webserver_config.py"], config["__file__"], "exec"), config)  # noqa: S102 (our own file)
        return config

    return read


def asks(config: dict[str, Any], claims: Tree) -> Tree:
    found: Tree = config["SignIn"]().get_oauth_user_info("oidc", {"userinfo": claims})
    return found


ANA = {"email": "Ana@Example.com", "email_verified": True, "groups": ["analysts", "other"], "given_name": "Ana"}


def test_who_is_of_a_domain_and_a_group_comes_in_with_them(web_server: Callable[[Tree], dict[str, Any]]) -> None:
    config = web_server(OIDC)
    assert config["AUTH_TYPE"] == 4
    assert config["AUTH_ROLES_MAPPING"] == OIDC["roles"]
    assert asks(config, ANA)["role_keys"] == ["ana@example.com", "analysts", "other"]
    (provider,) = config["OAUTH_PROVIDERS"]
    url = "https://id.example.com/realms/data/.well-known/openid-configuration"
    assert provider["remote_app"]["server_metadata_url"] == url


@pytest.mark.parametrize(
    "claims",
    [
        {**ANA, "email": "ana@example.org"},
        {**ANA, "email": "ana@example.com.evil.org"},
        {**ANA, "email": "ana@sub.example.com"},
        {**ANA, "email_verified": False},
        {**ANA, "groups": ["other"]},
        {**ANA, "email": None},
        {},
    ],
)
def test_who_is_not_is_refused(web_server: Callable[[Tree], dict[str, Any]], claims: Tree) -> None:
    assert asks(web_server(OIDC), claims) == {}


def test_letters_of_an_address_may_be_small_or_capital(web_server: Callable[[Tree], dict[str, Any]]) -> None:
    config = web_server(
        {**OIDC, "roles": {"Ana@Example.COM": ["Op"], "Staff": ["Viewer"], "Team@example.com": ["User"]}}
    )
    assert config["AUTH_ROLES_MAPPING"] == {
        "ana@example.com": ["Op"],
        "Staff": ["Viewer"],
        "team@example.com": ["User"],
    }
    found = asks(config, {**ANA, "groups": ["Staff", "TEAM@example.com"]})
    assert found["role_keys"] == ["ana@example.com", "Staff", "team@example.com"]


def test_who_had_a_password_stays_the_same_user(web_server: Callable[[Tree], dict[str, Any]]) -> None:
    config = web_server(OIDC)
    assert asks(config, ANA)["username"] == "ana@example.com"
    assert asks(config, {**ANA, "email": "was@example.com"})["username"] == "ana.before"


def test_the_administrators_user_is_not_the_providers(
    web_server: Callable[[Tree], dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    config = web_server(OIDC)
    assert asks(config, {**ANA, "email": "boss@example.com", "groups": ["airflow-admins"]}) == {}
    assert "sign-in refused: boss@example.com: is the administrator's" in caplog.text


def test_of_a_google_account_google_says_the_domain(web_server: Callable[[Tree], dict[str, Any]]) -> None:
    config = web_server(GOOGLE)
    claims = {"email": "ana@example.com", "email_verified": True, "hd": "example.com"}
    assert asks(config, claims)["role_keys"] == ["ana@example.com"]
    # Anybody may have made a Google account for an address of ours.
    assert asks(config, {**claims, "hd": None}) == {}
    assert asks(config, {key: value for key, value in claims.items() if key != "email_verified"}) == {}
