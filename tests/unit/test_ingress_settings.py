"""Which settings of the way in are refused."""

from collections.abc import Callable

import pytest

from infra.settings import SettingsError
from tests.certificates import ELSEWHERE, EXPIRED, GOOD
from tests.unit.stack_files import Tree, changed, settings, stack_config
from tests.unit.way_in import given, two_teams, way_in


def at(address: str, **more: object) -> Callable[[Tree], object]:
    """The first Airflow at an address of its own."""

    def change(tree: Tree) -> None:
        tree["airflows"][0].update(baseUrl=address)
        tree.update(more)

    return change


MISTAKES: list[tuple[Callable[[Tree], object], str]] = [
    (given(EXPIRED), "ingress.tls.certificate: has expired on"),
    (given(ELSEWHERE), "is for *.example.com, not for main.airflow.localhost (airflows.main)"),
    (given(GOOD, EXPIRED[1]), "ingressKey: is not the key of ingress.tls.certificate"),
    (given(GOOD, "nonsense"), "ingressKey: is no private key in PEM"),
    (given(("-----BEGIN CERTIFICATE-----\nx", GOOD[1])), "ingress.tls.certificate: is no certificate in PEM"),
    (way_in(tls={"kind": "given", "certificate": GOOD[0]}), "ingressKey: the certificate of ingress.tls has no key"),
    (lambda t: t.update(ingressKey="x"), "ingressKey: is for a certificate of kind 'given'"),
    (way_in(tls={"kind": "cert-manager", "issuer": "Let's Encrypt"}), "ingress.tls.issuer"),
    (two_teams(exposure="public"), "ingress.exposure: 'public' is a load balancer of Google's"),
    (way_in(dns={"zone": "z"}), "ingress.dns: is a zone of Cloud DNS"),
    (way_in(sourceRanges=["10.0.0.0/8"]), "ingress.sourceRanges: a load balancer keeps them"),
    (way_in(port=444), "ingress.port: the controller takes 443, or 1024 and above, not 444"),
    (way_in(httpPort=8443), "ingress.httpPort: 8443 is the port for https already"),
    (way_in(replicas=3, mostReplicas=2), "ingress.mostReplicas: 2 is less than replicas, 3"),
    (lambda t: t["airflows"][0].update(name="grafana"), "is kept for the grafana"),
    (at("http://main.airflow.localhost:8443"), "airflows.main.baseUrl: people come by https only"),
    (at("https://main.airflow.localhost"), "airflows.main.baseUrl: people come to port 8443"),
    (at("https://main.airflow.localhost:8443/"), ':8443/" does not have the form'),
    (at("https://airflow.localhost:8443main"), 'baseUrl: "https://airflow.localhost:8443main" does not have the form'),
    (at("/main"), 'airflows.main.baseUrl: "/main" does not have the form'),
    (
        at("https://grafana.airflow.localhost:8443", metrics={"kind": "prometheus"}),
        "Grafana: its address https://grafana.airflow.localhost:8443 is within that of airflows.main",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), MISTAKES)
def test_a_mistake_is_named_by_its_key_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config("local"), change))
    assert expected in str(refused.value)
    assert "BEGIN" not in str(refused.value)


@pytest.mark.parametrize("path", ["", "/etl"])
def test_no_two_airflows_have_one_address_within_another(path: str) -> None:
    def change(tree: Tree) -> None:
        tree["airflows"][0]["baseUrl"] = f"https://etl.example.com:8443{path}"
        tree["airflows"].append({**tree["airflows"][0], "name": "team-b"})
        tree["airflows"][1]["baseUrl"] = "https://etl.example.com:8443/etl"

    with pytest.raises(SettingsError, match="one of them would never be reached"):
        settings(changed(stack_config("local"), change))
