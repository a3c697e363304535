"""Who may see what has no sign-in of its own: what stands before it, and what settings are refused."""

from collections.abc import Callable
from typing import Any

import pytest

from infra.images import images_of
from infra.settings import SettingsError
from tests.unit.policy_world import Pod, World
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config
from tests.unit.test_environment import pods

GATE = {"issuer": "https://id.example.com", "clientId": "watching", "domains": ["example.com"], "groups": ["platform"]}
SECRET = "the provider's own secret"
GATES = ("prometheus", "alertmanager")


def gated(gate: Tree | None = None, secret: str | None = SECRET, **more: Any) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        tree["metrics"] = {"kind": "prometheus", "grafana": False, "kubeState": False}
        tree["gate"] = {**GATE, **(gate or {})}
        if secret is not None:
            tree["gateSecret"] = secret
        tree.update(more)

    return change


@pytest.fixture(scope="module")
def made() -> Recording:
    return deployed(change=gated())


def arguments(recording: Recording, name: str) -> list[str]:
    (container,) = pods(recording)[f"{name}-gate"]["containers"]
    return list(container["args"])


def test_nothing_stands_there_unless_it_is_asked_for() -> None:
    plain = deployed(change=lambda tree: tree.update(metrics={"kind": "prometheus"}))
    assert not [one.name for one in plain.resources if "gate" in one.name]
    assert not [one for one in plain.resources if one.kind == "Ingress" and "prometheus" in one.name]


def test_people_come_to_prometheus_and_alertmanager_by_a_gate_each(made: Recording) -> None:
    for name in GATES:
        (rule,) = made.one("Ingress", f"route-{name}").inputs["spec"]["rules"]
        assert rule["host"] == f"{name}.airflow.localhost"
        assert {path["backend"]["service"]["name"] for path in rule["http"]["paths"]} == {f"{name}-gate"}
        said = arguments(made, name)
        assert f"--upstream=http://{name}:{9090 if name == 'prometheus' else 9093}" in said
        assert f"--redirect-url=https://{name}.airflow.localhost:8443/oauth2/callback" in said


def test_who_is_of_another_domain_or_group_is_not_let_through(made: Recording) -> None:
    said = arguments(made, "prometheus")
    assert [one for one in said if "domain" in one or "group=" in one] == [
        "--email-domain=example.com",
        "--allowed-group=platform",
    ]
    # Each would let somebody through, or believe what a request says of itself.
    for flag in ("--skip-auth", "--trusted-ip", "--reverse-proxy", "--insecure-", "--ssl-insecure"):
        assert not [one for one in said if one.startswith(flag)]


def test_its_secrets_are_in_files_of_its_own(made: Recording) -> None:
    for name in GATES:
        secret = made.one("Secret", f"{name}-gate-secret")
        assert secret.inputs["stringData"]["client-secret"] == SECRET
        assert len(secret.inputs["stringData"]["cookie-secret"]) == 32
        assert any("stringData" in path for path in secret.secret_paths)
        assert not [one for one in arguments(made, name) if SECRET in one]
    cookies = {made.one("Secret", f"{n}-gate-secret").inputs["stringData"]["cookie-secret"] for n in GATES}
    assert len(cookies) == 2


def test_only_the_way_in_reaches_the_gate_and_only_the_gate_what_is_behind_it() -> None:
    world = World(deployed(change=gated({"issuer": "https://198.51.100.7:8443"})))
    labels = {"app.kubernetes.io/name": "metrics", "app.kubernetes.io/instance": "metrics"}
    behind = Pod("metrics", {**labels, "app.kubernetes.io/component": "prometheus"})
    gate = Pod(
        "metrics",
        {
            "app.kubernetes.io/name": "oauth2-proxy",
            "app.kubernetes.io/instance": "prometheus",
            "app.kubernetes.io/component": "gate",
        },
    )
    way_in = Pod("ingress", {"app.kubernetes.io/name": "nginx-ingress"})
    assert world.passes(gate, behind, 9090)
    assert world.passes(gate, "198.51.100.7", 8443)
    assert not world.passes(gate, "198.51.100.7", 443)
    assert not world.passes(way_in, behind, 9090)


def test_its_image_is_taken_where_it_is_asked_for() -> None:
    assert "oauth2-proxy" in images_of(settings(changed(stack_config("local"), gated())))
    assert "oauth2-proxy" not in images_of(settings(stack_config("local")))


MISTAKES: list[tuple[Callable[[Tree], object], str]] = [
    (gated(secret=None), "gateSecret: is missing; the provider shows it"),
    (lambda tree: tree.update(gateSecret=SECRET), "gateSecret: is for 'gate'. Leave it out"),
    (gated(metrics=None), "gate: stands before Prometheus and Alertmanager, and there are none"),
    (lambda tree: (gated()(tree), tree.pop("ingress")), "gate: people come to it by the way in, and there is none"),
    (gated({"issuer": "http://id.example.com"}, ephemeral=False), "gate.issuer: without TLS everybody"),
    (gated({"issuer": "https://id.example.com/"}), "does not have the form"),
    (gated({"scopes": ["email"]}), "gate.scopes: without 'openid'"),
    (gated({"domains": []}), "gate.domains"),
]


@pytest.mark.parametrize(("change", "expected"), MISTAKES)
def test_a_mistake_is_named_by_its_key_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config("local"), change))
    assert expected in str(refused.value)
    assert SECRET not in str(refused.value)
