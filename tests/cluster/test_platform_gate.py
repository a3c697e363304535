"""What has no sign-in of its own is behind a gate: oauth2-proxy, the real program, with a real OpenID provider."""

import json
import re
import urllib.error
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml
from pulumi import automation

from tests.cluster.identity_provider import ISSUER, Provider, Visitor, identity_provider
from tests.cluster.platform import STACK, Platform
from tests.cluster.way_in import ask, door_of

pytestmark = [pytest.mark.cluster, pytest.mark.long]

USERS = {
    "pat": {"email": "pat@example.com", "email_verified": True, "groups": ["platform", "others"]},
    "joe": {"email": "joe@example.com", "email_verified": True, "groups": ["others"]},
    "eve": {"email": "eve@example.org", "email_verified": True, "groups": ["platform"]},
}
QUERY = "/api/v1/query?query=prometheus_build_info"


def encrypted(platform: Platform, secret: str) -> dict[str, str]:
    """A value as `pulumi config set --secret` has it in the stack's file."""
    with platform.engine() as engine:
        engine.stack.set_config("airflow-platform:gateSecret", automation.ConfigValue(secret, secret=True))
        (file,) = platform.home.rglob(f"Pulumi.{STACK}.yaml")
        found: dict[str, str] = yaml.safe_load(file.read_text())["config"]["airflow-platform:gateSecret"]
    return found


@pytest.fixture(scope="module")
def provider(platform: Platform) -> Iterator[Provider]:
    def change(tree: dict[str, object]) -> None:
        tree["metrics"] = {"kind": "prometheus", "retentionGib": 1, "kubeState": False, "grafana": False}
        tree["gate"] = {"issuer": ISSUER, "clientId": "gate", "domains": ["example.com"], "groups": ["platform"]}
        tree["gateSecret"] = encrypted(platform, "what the provider gave us")

    with identity_provider(platform, USERS) as started:
        try:
            with platform.changed(change):
                platform.up()
                yield started
        finally:
            platform.up()


def visitor_of(platform: Platform, provider: Provider, name: str) -> Visitor:
    door = door_of(platform)
    return Visitor(replace(door, url=re.sub(r"//[^.]+\.", f"//{name}.", door.url, count=1)), provider)


def test_who_is_in_the_group_sees_what_is_behind_each_gate(platform: Platform, provider: Provider) -> None:
    at_prometheus = visitor_of(platform, provider, "prometheus")
    assert ask(at_prometheus.door, QUERY).status == 401
    assert at_prometheus.come_by("/oauth2/start?rd=/-/ready", "pat") == f"{at_prometheus.door.url}/-/ready"
    status, text = at_prometheus.read(QUERY)
    assert status == 200
    assert json.loads(text)["data"]["result"]

    at_alertmanager = visitor_of(platform, provider, "alertmanager")
    (cookie,) = [one.value for one in at_prometheus.cookies if one.name == "__Host-prometheus-gate"]
    assert ask(at_alertmanager.door, "/api/v2/status", Cookie=f"__Host-alertmanager-gate={cookie}").status == 401
    at_alertmanager.come_by("/oauth2/start?rd=/-/ready", "pat")
    assert at_alertmanager.read("/api/v2/status")[0] == 200


@pytest.mark.parametrize("sub", ["joe", "eve"])
def test_who_is_of_another_group_or_domain_does_not_pass(platform: Platform, provider: Provider, sub: str) -> None:
    visitor = visitor_of(platform, provider, "prometheus")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        visitor.come_by("/oauth2/start?rd=/-/ready", sub)
    assert visitor.read(QUERY)[0] == 401


def test_a_request_that_says_to_come_from_a_user_is_not_believed(platform: Platform, provider: Provider) -> None:
    door = visitor_of(platform, provider, "prometheus").door
    said = {"X-Forwarded-User": "pat", "X-Forwarded-Email": "pat@example.com", "X-Forwarded-Uri": "/ping"}
    assert ask(door, QUERY, **said).status == 401
    assert ask(door, QUERY, Authorization="Bearer made-up").status == 401
    assert ask(door, QUERY, Cookie="__Host-prometheus-gate=made-up").status == 401
