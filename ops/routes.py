"""Which host leads where, for `make status`: what is claimed twice, and what nobody answers for."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from components.ingress.configuration import CLASS
from components.ingress.routes import MERGEABLE
from infra.settings.ingress_addresses import way_in
from ops.cluster_view import OURS, ClusterView
from ops.target import Target


def route_problems(chosen: Target, view: ClusterView) -> list[str]:
    """A line for each Ingress object that comes too late, and for each host of ours that the controller leaves alone.

    Settings see to it that no two of a stack are in each other's way; another stack, or a person, may be.
    """
    if way_in(chosen.settings) is None:
        return []
    found = [one for one in view.ingresses() if one.spec.ingress_class_name == CLASS]
    # As the controller does: who came first has it.
    found.sort(key=lambda one: (one.metadata.creation_timestamp, _name(one)))
    return [*_claimed_twice(found), *_left_alone(found)]


def _claimed_twice(found: Sequence[Any]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for one in found:
        for claim in _claims(one):
            owner = owners.setdefault(claim, _name(one))
            if owner != _name(one):
                yield (
                    f"Ingress {_name(one)}: {claim} belongs to {owner}, which came first: it leads nobody there. Mend: "
                    f"give it another host or path, or `kubectl -n {one.metadata.namespace} delete ingress "
                    f"{one.metadata.name}`"
                )


def _left_alone(found: Sequence[Any]) -> Iterator[str]:
    hosts: dict[str, list[str]] = defaultdict(list)
    key, _, value = OURS.partition("=")
    for one in found:
        balancer = one.status.load_balancer if one.status else None
        if (one.metadata.labels or {}).get(key) == value and not (balancer and balancer.ingress):
            for rule in one.spec.rules or []:
                hosts[rule.host].append(_name(one))
    for host, names in hosts.items():
        namespace, _, name = names[0].partition("/")
        yield (
            f"https://{host}: the controller does not answer for all of it ({', '.join(names)}). Mend: what it says: "
            f"`kubectl -n {namespace} describe ingress {name}`"
        )


def _claims(one: Any) -> Iterator[str]:
    """What an object wants for itself: a host or, of a minion, paths at one."""
    minion = (one.metadata.annotations or {}).get(MERGEABLE) == "minion"
    for rule in one.spec.rules or []:
        if not minion:
            yield rule.host
        for path in rule.http.paths if minion and rule.http else []:
            yield f"{rule.host}{path.path}"


def _name(one: Any) -> str:
    return f"{one.metadata.namespace}/{one.metadata.name}"
