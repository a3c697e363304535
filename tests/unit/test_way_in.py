"""What `make status` says of the way in: of its certificate, and of who is asked who somebody is."""

import re
import types
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from ops.cluster_view import ClusterView
from ops.target import Target
from ops.way_in import way_in_problems
from testbed.progress import Failure
from tests.certificates import ELSEWHERE, EXPIRED, GOOD, certificate
from tests.unit.stack_files import Tree, changed, settings, stack_config
from tests.unit.test_sign_in import OIDC, signs_in
from tests.unit.way_in import way_in

Kept = dict[str, dict[str, str]]


def said(kept: Kept, change: Callable[[Tree], object] = lambda _: None) -> list[str]:
    """Of the stack ``local`` with ``change``, where the namespace of the way in keeps these Secrets."""

    def secret(_: str, name: str) -> dict[str, str]:
        if name not in kept:
            raise Failure("the cluster refused: 404 Not Found")
        return kept[name]

    on = types.SimpleNamespace(settings=settings(changed(stack_config("local"), change)))
    return way_in_problems(cast("Target", on), cast("ClusterView", types.SimpleNamespace(secret=secret)))


def of_provider(answer: str | Failure) -> list[str]:
    """Of the stack ``local`` with sign-in by a provider, where the api-server hears ``answer`` from it."""

    def said_in(namespace: str, component: str, command: Sequence[str]) -> str:
        assert (namespace, component) == ("airflow-main", "api-server")
        assert command[-1] == f"{OIDC['issuer']}/.well-known/openid-configuration"
        if isinstance(answer, Failure):
            raise answer
        return answer

    on = types.SimpleNamespace(settings=settings(changed(stack_config("local"), signs_in(OIDC))))
    view = types.SimpleNamespace(secret=lambda *_: one(GOOD)["tls"], said_in=said_in)
    return way_in_problems(cast("Target", on), cast("ClusterView", view))


def one(pair: tuple[str, str], name: str = "tls") -> Kept:
    return {name: {"tls.crt": pair[0], "tls.key": pair[1]}}


def test_of_a_good_certificate_nothing_is_said() -> None:
    assert said(one(GOOD)) == []


def test_without_a_way_in_nothing_is_asked() -> None:
    assert said({}, lambda tree: tree.pop("ingress")) == []


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (one(EXPIRED), r"Secret ingress/tls: has expired on \d{4}-\d\d-\d\d\. Mend: bring the stack up"),
        (
            one(certificate("*.airflow.localhost", days=13)),
            r"Secret ingress/tls: expires on .*Mend: bring the stack up",
        ),
        (one(ELSEWHERE), r"Secret ingress/tls: is not for main\.airflow\.localhost \(airflows\.main\)\. Mend: "),
        ({}, r"Secret ingress/tls: the cluster refused: 404 Not Found\. It holds the certificate\. Mend: "),
        ({"tls": {}}, r"Secret ingress/tls: holds no certificate, and the way in does not start without one"),
        (one(("no certificate", "")), r"Secret ingress/tls: holds no certificate"),
        (
            one((GOOD[0], ELSEWHERE[1])),
            r"Secret ingress/tls: its tls\.key is not the key of its tls\.crt: .*none starts\. ",
        ),
        (one((GOOD[0], "")), r"Secret ingress/tls: its tls\.key is no private key in PEM without a passphrase: "),
        (one(certificate("*.airflow.localhost", since=-1)), r"Secret ingress/tls: is not valid before \d{4}-"),
    ],
)
def test_what_is_wrong_with_it_is_said_with_the_mend(kept: Kept, expected: str) -> None:
    (line,) = said(kept)
    assert re.match(expected, line), line
    assert "Mend: " in line


@pytest.mark.parametrize(
    ("tls", "secret", "mend"),
    [
        ({"kind": "secret", "name": "wildcard"}, "wildcard", "look at what keeps it"),
        ({"kind": "cert-manager", "issuer": "own"}, "issued-tls", "kubectl -n ingress describe certificate issued-tls"),
    ],
)
def test_it_is_looked_for_where_whoever_keeps_it_has_it(tls: Tree, secret: str, mend: str) -> None:
    assert said(one(GOOD, secret), way_in(tls=tls)) == []
    (line,) = said(one(EXPIRED, secret), way_in(tls=tls))
    assert f"Mend: {mend}" in line


def test_a_short_lived_certificate_is_not_always_about_to_end() -> None:
    assert said(one(certificate("*.airflow.localhost", since=4, days=3))) == []
    assert said(one(certificate("*.airflow.localhost", since=6, days=1))) != []


def test_of_a_provider_that_answers_nothing_is_said() -> None:
    assert of_provider("\n") == []


def test_a_provider_that_does_not_answer_is_named_with_its_reason() -> None:
    (line,) = of_provider("[Errno 111] Connection refused\n")
    assert line.startswith(f"airflows.main.signIn: {OIDC['issuer']} does not answer ([Errno 111] Connection refused)")
    (line,) = of_provider(Failure("no api-server runs in airflow-main"))
    assert "(not asked: no api-server runs in airflow-main)" in line
