"""Whether what is asked for fits: addresses for nodes and pods, connections for Airflows. Pure arithmetic."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

PRIVATE_SPACE: Final = tuple(
    ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""RFC 1918 and RFC 6598."""
DOCKER_BRIDGE: Final = ipaddress.IPv4Network("172.17.0.0/16")
"""Cloud SQL keeps it for Docker's bridge: what has such an address can't reach an instance
(https://cloud.google.com/sql/docs/postgres/private-ip)."""
KEPT_BY_GOOGLE: Final = 4
"""Addresses of a subnetwork's primary range (https://cloud.google.com/vpc/docs/subnets#unusable-ip-addresses-in-every-subnet)."""
SURGE_NODES: Final = 1
"""Nodes that a pool has more while it is upgraded."""
SMALLEST: Final = {"services": 24, "managed": 24}
"""Longest prefixes: ours for Services (256 of them); Google's advice for Cloud SQL is a /24 or more for each region."""

RESERVED_CONNECTIONS: Final = 10
"""For administrators and the bootstrap Jobs."""
_MEMORY_PER_CONNECTION_MIB: Final = 32
_LEAST_MEMORY_PER_CONNECTION_MIB: Final = 8
_SHARED_CORE_MIB: Final = {"db-f1-micro": 614, "db-g1-small": 1740}
_PLUS_MIB_PER_CPU: Final = 8192


@dataclass(frozen=True)
class Ranges:
    """The four address ranges of an environment, by their names in the settings."""

    nodes: str
    pods: str
    services: str
    managed: str

    def items(self) -> Mapping[str, str]:
        """Names and ranges."""
        return {"nodes": self.nodes, "pods": self.pods, "services": self.services, "managed": self.managed}


def address_problems(ranges: Ranges, nodes: int, pods_per_node: int) -> list[str]:
    """Everything that is wrong with ``ranges`` for at most ``nodes`` nodes of at most ``pods_per_node`` pods each."""
    networks: dict[str, ipaddress.IPv4Network] = {}
    problems: list[str] = []
    for name, text in ranges.items().items():
        try:
            networks[name] = ipaddress.IPv4Network(text)
        except ValueError as error:
            problems.append(f"network.{name}: {text} is no range of addresses ({error}). Write it like 10.0.0.0/20")
            continue
        problems += _space_problems(name, networks[name])
    for (one, first), (other, second) in combinations(networks.items(), 2):
        if first.overlaps(second):
            problems.append(f"network.{one}: {first} overlaps network.{other}, {second}. Move one of them")
    return problems + _size_problems(networks, nodes, pods_per_node)


def _space_problems(name: str, network: ipaddress.IPv4Network) -> list[str]:
    if not any(network.subnet_of(space) for space in PRIVATE_SPACE):
        allowed = ", ".join(map(str, PRIVATE_SPACE))
        return [f"network.{name}: {network} is not in private space. Choose a range inside one of {allowed}"]
    if network.overlaps(DOCKER_BRIDGE):
        return [f"network.{name}: {network} overlaps {DOCKER_BRIDGE}, which Cloud SQL keeps. Choose another range"]
    return []


def _size_problems(networks: Mapping[str, ipaddress.IPv4Network], nodes: int, pods_per_node: int) -> list[str]:
    problems: list[str] = []
    if (primary := networks.get("nodes")) and primary.num_addresses - KEPT_BY_GOOGLE < nodes:
        problems.append(
            f"network.nodes: {primary} has room for {max(primary.num_addresses - KEPT_BY_GOOGLE, 0)} nodes, and the "
            f"node pools may have {nodes}, upgrades included. Choose a range of at least "
            f"/{_prefix_for(nodes + KEPT_BY_GOOGLE)}, or lower the pools' maxNodes"
        )
    block = pod_block(pods_per_node)
    if (pods := networks.get("pods")) and pods.num_addresses // block < nodes:
        problems.append(
            f"network.pods: {pods} has room for {pods.num_addresses // block} nodes of {pods_per_node} pods, each "
            f"taking {block} addresses, and the node pools may have {nodes}, upgrades included. Choose a range of at "
            f"least /{_prefix_for(nodes * block)}, or lower maxPodsPerNode or the pools' maxNodes"
        )
    for name, longest in SMALLEST.items():
        if (network := networks.get(name)) and network.prefixlen > longest:
            problems.append(f"network.{name}: {network} is too small. Choose a range of at least /{longest}")
    return problems


def pod_block(pods_per_node: int) -> int:
    """How many addresses GKE sets aside for a node: twice its most pods, rounded up to a power of two
    (https://cloud.google.com/kubernetes-engine/docs/how-to/flexible-pod-cidr)."""
    return 1 << (2 * pods_per_node - 1).bit_length()


def most_nodes(pools: Sequence[int], blue_green: Sequence[int]) -> int:
    """The most nodes that exist at once: ``pools`` grow by a surge node while upgraded, ``blue_green`` pools double."""
    return sum(count + SURGE_NODES for count in pools) + sum(2 * count for count in blue_green)


def _prefix_for(addresses: int) -> int:
    return 32 - (max(addresses, 1) - 1).bit_length()


def tier_memory_mib(tier: str) -> int:
    """The memory of a Cloud SQL instance of ``tier``."""
    if custom := re.fullmatch(r"db-custom-\d+-(\d+)", tier):
        return int(custom[1])
    if plus := re.fullmatch(r"db-perf-optimized-N-(\d+)", tier):
        return int(plus[1]) * _PLUS_MIB_PER_CPU
    return _SHARED_CORE_MIB[tier]


def default_connections(tier: str) -> int:
    """One connection for each 32 MiB, from 50 to 1000. Ours: it leaves most memory to PostgreSQL's cache."""
    return max(50, min(1000, tier_memory_mib(tier) // _MEMORY_PER_CONNECTION_MIB))


def tier_problems(tier: str, edition: str, max_connections: int) -> list[str]:
    """What is wrong with an instance of ``tier`` that allows ``max_connections``."""
    problems: list[str] = []
    plus = tier.startswith("db-perf-optimized")
    if plus != (edition == "ENTERPRISE_PLUS"):
        right = "db-perf-optimized-N-<CPUs>" if edition == "ENTERPRISE_PLUS" else "db-custom-<CPUs>-<MiB>"
        problems.append(f"database.tier: {tier} is not of the edition {edition}. Choose one of the form {right}")
    if custom := re.fullmatch(r"db-custom-(\d+)-(\d+)", tier):
        problems += _custom_problems(tier, int(custom[1]), int(custom[2]))
    most = tier_memory_mib(tier) // _LEAST_MEMORY_PER_CONNECTION_MIB
    if max_connections > most:
        problems.append(
            f"database.maxConnections: {max_connections} is more than {tier} has memory for, which is {most} at "
            f"{_LEAST_MEMORY_PER_CONNECTION_MIB} MiB each. Lower it, or choose a larger tier"
        )
    return problems


def _custom_problems(tier: str, cpus: int, memory: int) -> list[str]:
    # https://cloud.google.com/sql/docs/postgres/create-instance#machine-types
    problems: list[str] = []
    if cpus != 1 and (cpus % 2 or not 2 <= cpus <= 96):
        problems.append(f"database.tier: {tier} has {cpus} CPUs. Google allows 1, or an even number up to 96")
    if memory % 256 or memory < 3840 or not 0.9 * 1024 * cpus <= memory <= 6.5 * 1024 * cpus:
        problems.append(
            f"database.tier: {tier} has {memory} MiB. Google allows multiples of 256, at least 3840, and 0.9 to 6.5 "
            "GiB for each CPU"
        )
    return problems


def connection_problems(max_connections: int, budgets: Mapping[str, int], needed: Mapping[str, int]) -> list[str]:
    """Whether ``max_connections`` are enough for the ``budgets`` of all Airflows, and each for what its Airflow
    ``needed``; both by name."""
    problems = [
        f"airflows.{name}.databaseConnections: {budget} are too few: at its size the Airflow needs {needed[name]}. "
        "Allow at least that many, choose a smaller size or a pooler, or leave it out"
        for name, budget in budgets.items()
        if budget < needed[name]
    ]
    asked = sum(budgets.values())
    if max_connections < asked + RESERVED_CONNECTIONS:
        problems.append(
            f"database.maxConnections: {max_connections} are too few for {_count(len(budgets))}: together they may "
            f"hold {asked}, and {RESERVED_CONNECTIONS} stay free for administrators. Allow at least "
            f"{asked + RESERVED_CONNECTIONS}, choose smaller sizes or a pooler, or have fewer Airflows"
        )
    return problems


def _count(airflows: int) -> str:
    return "1 Airflow" if airflows == 1 else f"{airflows} Airflows"
