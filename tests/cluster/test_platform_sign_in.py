"""People sign in by an OpenID provider, programs by a password of their own; each with the roles that it has."""

import base64
import json
from collections.abc import Iterator

import pytest

from ops.airflow_api import AirflowApi
from ops.way_in import way_in_problems
from testbed.progress import Failure
from tests.cluster.identity_provider import ISSUER, Provider, Visitor, identity_provider
from tests.cluster.looks import uids
from tests.cluster.platform import Platform
from tests.cluster.way_in import Answer, ask, door_of, token_of

pytestmark = [pytest.mark.cluster, pytest.mark.long]

SIGN_IN = {
    "kind": "oidc",
    "issuer": ISSUER,
    "clientId": "airflow-main",
    "domains": ["example.com"],
    "roles": {"airflow-admins": ["Admin"], "analysts": ["Viewer"]},
}
USERS = {
    "ada": {"email": "ada@example.com", "email_verified": True, "groups": ["airflow-admins"], "given_name": "Ada"},
    "ana": {"email": "ana@example.com", "email_verified": True, "groups": ["analysts"], "given_name": "Ana"},
    "eve": {"email": "eve@example.org", "email_verified": True, "groups": ["airflow-admins"]},
    "joe": {"email": "joe@example.com", "email_verified": True, "groups": ["others"]},
    "adm": {"email": "admin@example.com", "email_verified": True, "groups": ["airflow-admins"]},
}
SECRET = "what the provider gave us"


@pytest.fixture(scope="module")
def provider(platform: Platform) -> Iterator[Provider]:
    def change(tree: dict[str, object]) -> None:
        first = tree["airflows"][0]  # type: ignore[index]
        first.update(signIn=SIGN_IN, apiClients=[{"name": "etl", "role": "Viewer"}])
        # The engine's own way to hand it over: the stack file of a test is not encrypted.
        tree["secrets"] = {"main": {"oidcClientSecret": SECRET}}

    with identity_provider(platform, USERS) as started:
        with platform.changed(change):
            platform.up()
            yield started
        platform.up()


def who(visitor: Visitor) -> Answer:
    """What the API says to somebody who wants to change something: 403 where the roles don't allow it."""
    body = json.dumps({"is_paused": True}).encode()
    headers = {"Authorization": f"Bearer {visitor.token}", "Content-Type": "application/json"}
    return ask(visitor.door, "/api/v2/dags/says_much", "PATCH", body, **headers)


def reads(visitor: Visitor) -> int:
    return ask(visitor.door, "/api/v2/dags", Authorization=f"Bearer {visitor.token}").status


def test_the_roles_of_who_signs_in_are_those_of_the_groups(platform: Platform, provider: Provider) -> None:
    door = door_of(platform)
    admin, viewer = Visitor(door, provider), Visitor(door, provider)
    assert admin.sign_in("ada").startswith(door.url)
    assert viewer.sign_in("ana").startswith(door.url)
    assert (reads(admin), who(admin).status) == (200, 200)
    assert (reads(viewer), who(viewer).status) == (200, 403)


@pytest.mark.parametrize("sub", ["eve", "joe", "adm"])
def test_who_is_of_another_domain_or_no_group_or_the_administrator_is_refused(
    platform: Platform, provider: Provider, sub: str
) -> None:
    visitor = Visitor(door_of(platform), provider)
    assert "/auth/login" in visitor.sign_in(sub)
    assert visitor.token is None


def test_a_code_without_the_state_that_it_was_asked_with_is_refused(platform: Platform, provider: Provider) -> None:
    visitor = Visitor(door_of(platform), provider)
    answer = ask(visitor.door, "/auth/oauth-authorized/oidc?code=stolen&state=made-up")
    assert answer.status == 302
    assert "_token" not in answer.cookies


def test_a_program_has_the_role_of_its_client_and_no_other(platform: Platform, provider: Provider) -> None:
    login = platform.view().secret("airflow-main", "client-etl")
    door = door_of(platform)
    api = AirflowApi(door, login["username"], login["password"])
    api.log_in()
    assert api.get("/dags")["dags"]
    token = token_of(door, login)
    body = json.dumps({"is_paused": True}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    assert ask(door, "/api/v2/dags/says_much", "PATCH", body, **headers).status == 403
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["exp"] > claims["iat"]


def test_a_provider_that_is_down_is_named_by_status(platform: Platform, provider: Provider) -> None:
    assert way_in_problems(platform.target(), platform.view()) == []
    with platform.changed(lambda tree: tree["airflows"][0]["signIn"].update(issuer=f"{ISSUER[:-1]}9")):
        (said,) = way_in_problems(platform.target(), platform.view())
    assert said.startswith(f"airflows.main.signIn: {ISSUER[:-1]}9 does not answer")


def test_a_client_that_is_taken_away_is_locked_out_and_nothing_restarts(platform: Platform, provider: Provider) -> None:
    login, before = platform.view().secret("airflow-main", "client-etl"), uids(platform, "airflow-main")
    with platform.changed(lambda tree: tree["airflows"][0].update(apiClients=[])):
        platform.up()
    with pytest.raises(Failure, match="does not accept the password"):
        AirflowApi(door_of(platform), login["username"], login["password"]).log_in()
    platform.up()
    assert uids(platform, "airflow-main") == before
