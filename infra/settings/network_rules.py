"""Rules between the network policies' settings and the rest, and the addresses that follow from both."""

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic.alias_generators import to_camel

from infra.settings.cloud_rules import own_network
from infra.settings.cluster import GkeCluster
from infra.settings.database import CloudSqlDatabase
from infra.settings.google import ExistingNetwork
from infra.settings.planning import PRIVATE_SPACE

if TYPE_CHECKING:
    from infra.settings.environment import Settings

WIDEST_DESTINATION = 8
"""Shortest prefix of a destination: what is wider is not named, it is everything."""


def known_ranges(settings: "Settings") -> tuple[str, ...]:
    """The cluster's own addresses where they are known: as named, or of a network that is made here."""
    if settings.network_policies.cluster_ranges:
        return settings.network_policies.cluster_ranges
    if isinstance(settings.cluster, GkeCluster) and not isinstance(settings.network, ExistingNetwork):
        own = own_network(settings)
        return (own.nodes, own.pods, own.services, own.managed)
    return ()


def cluster_ranges(settings: "Settings") -> tuple[str, ...]:
    """The addresses that are never outside."""
    return known_ranges(settings) or tuple(str(space) for space in PRIVATE_SPACE)


def database_ranges(settings: "Settings") -> tuple[str, ...]:
    """Where a Cloud SQL instance has its private address."""
    if isinstance(settings.database, CloudSqlDatabase) and not isinstance(settings.network, ExistingNetwork):
        return (own_network(settings).managed,)
    return tuple(str(space) for space in PRIVATE_SPACE)


def network_policy_problems(settings: "Settings") -> list[str]:
    """Everything that is wrong with the addresses of ``settings``."""
    return list(_problems(settings))


def _problems(settings: "Settings") -> Iterator[str]:
    policies = settings.network_policies
    for key in ("cluster_ranges", "google_apis"):
        for cidr in getattr(policies, key):
            yield from _range_problems(f"networkPolicies.{to_camel(key)}", cidr)
    for server in policies.api_servers:
        yield from _range_problems("networkPolicies.apiServers", server.cidr)
    if policies.google_apis and settings.google is None:
        yield "networkPolicies.googleApis: is for an environment on Google Cloud. Leave it out, or add 'google'"
    # Wrong ranges have been said already; a destination is held against the others.
    own = [network for cidr in known_ranges(settings) if (network := _network(cidr))]
    for airflow in settings.airflows:
        if airflow.network.task_egress == "none" and settings.google and not policies.google_apis and policies.enabled:
            yield (
                f"airflows.{airflow.name}.network.taskEgress: 'none' can't hold while Google's APIs may have any "
                "address, and tasks need those. Lead their names to private.googleapis.com in the network's DNS and "
                "say so with networkPolicies.googleApis: [199.36.153.8/30], or choose 'any-external'"
            )
        for key in ("task_destinations", "component_destinations"):
            where = f"airflows.{airflow.name}.network.{to_camel(key)}"
            for destination in getattr(airflow.network, key):
                yield from _range_problems(where, destination.cidr)
                if network := _network(destination.cidr):
                    yield from _destination_problems(where, network, own)


def _destination_problems(
    where: str, network: ipaddress.IPv4Network, own: list[ipaddress.IPv4Network]
) -> Iterator[str]:
    if network.prefixlen < WIDEST_DESTINATION:
        yield (
            f"{where}: {network} is nearly everything, other teams' pods included. Name smaller ranges, or for tasks "
            "set taskEgress: any-external"
        )
        return
    for taken in own:
        if network.overlaps(taken):
            yield (
                f"{where}: {network} overlaps {taken}, which is the cluster's own, where other teams are. Name "
                "addresses outside of it"
            )


def _range_problems(where: str, cidr: str) -> Iterator[str]:
    if _network(cidr) is None:
        yield f"{where}: {cidr} is no range of addresses. Write it like 10.0.0.0/20, without bits behind the prefix"


def _network(cidr: str) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(cidr)
    except ValueError:
        return None
