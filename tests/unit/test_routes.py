"""What `make status` says of Ingress objects: which are in each other's way, and which the controller leaves alone."""

import datetime
import types
from collections.abc import Sequence
from typing import Any, cast

import pytest
from kubernetes import client

from components.ingress.configuration import CLASS
from ops.cluster_view import ClusterView
from ops.routes import route_problems
from ops.target import Target
from tests.unit.stack_files import changed, settings, stack_config

HOST = "main.airflow.localhost"
BEGAN = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)


def ingress(
    name: str,
    *paths: str,
    kind: str = "minion",
    after: int = 0,
    served: bool = True,
    ours: bool = True,
    of: str = CLASS,
) -> client.V1Ingress:
    """An object of the host, made ``after`` so many minutes; one without paths is the host's."""
    namespace, _, own = name.partition("/")
    backend = client.V1IngressBackend(
        service=client.V1IngressServiceBackend(name="x", port=client.V1ServiceBackendPort(number=80))
    )
    found = [client.V1HTTPIngressPath(path=path, path_type="Prefix", backend=backend) for path in paths]
    http = client.V1HTTPIngressRuleValue(paths=found) if found else None
    address = [client.V1IngressLoadBalancerIngress(ip="127.0.0.1")] if served else None
    return client.V1Ingress(
        metadata=client.V1ObjectMeta(
            name=own,
            namespace=namespace,
            creation_timestamp=BEGAN + datetime.timedelta(minutes=after),
            annotations={"nginx.org/mergeable-ingress-type": kind} if kind else None,
            labels={"app.kubernetes.io/part-of": "airflow-platform"} if ours else None,
        ),
        spec=client.V1IngressSpec(ingress_class_name=of, rules=[client.V1IngressRule(host=HOST, http=http)]),
        status=client.V1IngressStatus(load_balancer=client.V1IngressLoadBalancerStatus(ingress=address)),
    )


OURS = [
    ingress(f"ingress/{HOST}", kind="master"),
    ingress("airflow-main/main", "/"),
    ingress("airflow-main/main-login", "/auth/login", "/auth/token"),
]


def said(*more: Any, without: str | None = None, ours: Sequence[Any] = OURS) -> list[str]:
    tree = changed(stack_config("local"), lambda tree: without and tree.pop(without))
    view = types.SimpleNamespace(ingresses=lambda: [*more, *ours])
    return route_problems(cast("Target", types.SimpleNamespace(settings=settings(tree))), cast("ClusterView", view))


def test_of_routes_that_are_served_nothing_is_said() -> None:
    assert said() == []


@pytest.mark.parametrize(
    ("other", "claim", "owner"),
    [
        (ingress("stranger/x", "/auth/token", after=1, ours=False), f"{HOST}/auth/token", "airflow-main/main-login"),
        (ingress("stranger/x", kind="master", after=1, ours=False), HOST, f"ingress/{HOST}"),
        (ingress("stranger/x", "/", kind="", after=1, ours=False), HOST, f"ingress/{HOST}"),
    ],
)
def test_who_claims_what_another_one_has_is_named_with_the_mend(other: Any, claim: str, owner: str) -> None:
    (line,) = said(other)
    assert line.startswith(f"Ingress stranger/x: {claim} belongs to {owner}, which came first")
    assert "Mend: " in line
    assert "kubectl -n stranger delete ingress x" in line


def test_it_is_ours_that_leads_nobody_where_the_other_one_came_first() -> None:
    (line,) = said(ingress("stranger/x", "/", after=-1, ours=False))
    assert line.startswith(f"Ingress airflow-main/main: {HOST}/ belongs to stranger/x")


def test_what_the_controller_leaves_alone_is_one_line_for_a_host() -> None:
    unserved = [ingress(f"ingress/{HOST}", kind="master"), ingress("airflow-main/main", "/", served=False)]
    (line,) = said(ours=[*unserved, ingress("airflow-main/main-login", "/auth/login", served=False)])
    assert line.startswith(
        f"https://{HOST}: the controller does not answer for all of it (airflow-main/main, airflow-main/main-login)"
    )
    assert "kubectl -n airflow-main describe ingress main" in line


def test_objects_of_another_controller_and_of_strangers_are_their_own_business() -> None:
    assert said(ingress("stranger/x", "/", kind="", of="nginx", ours=False)) == []
    assert said(ingress("stranger/x", "/other", served=False, ours=False)) == []


def test_without_a_way_in_nothing_is_looked_at() -> None:
    assert said(ingress("stranger/x", "/", after=1), without="ingress") == []
