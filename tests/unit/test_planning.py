"""The arithmetic behind an environment: addresses, connections, names."""

import ipaddress
import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.gcp.naming import ACCOUNT_ID_LIMIT, BUCKET_LIMIT, account_id, bucket_name, fitted
from infra.settings.planning import (
    DOCKER_BRIDGE,
    KEPT_BY_GOOGLE,
    PRIVATE_SPACE,
    RESERVED_CONNECTIONS,
    Ranges,
    address_problems,
    connection_problems,
    default_connections,
    most_nodes,
    pod_block,
    tier_memory_mib,
    tier_problems,
)

GOOD = Ranges("10.0.0.0/20", "10.4.0.0/14", "10.8.0.0/20", "10.9.0.0/20")

addresses = st.integers(0, 2**32 - 1)


@st.composite
def networks(draw: st.DrawFn) -> str:
    """Any range of addresses; half of them inside private space."""
    prefix = draw(st.integers(8, 30))
    space = draw(st.sampled_from(["10.0.0.0", "172.16.0.0", "192.168.0.0", "100.64.0.0", None]))
    base = int(ipaddress.IPv4Address(space)) + draw(st.integers(0, 2**20)) if space else draw(addresses)
    return str(ipaddress.IPv4Network((base & ~(2 ** (32 - prefix) - 1), prefix)))


@given(ranges=st.builds(Ranges, networks(), networks(), networks(), networks()), nodes=st.integers(1, 3000))
def test_ranges_without_a_problem_are_private_disjoint_and_large_enough(ranges: Ranges, nodes: int) -> None:
    if address_problems(ranges, nodes, 64):
        return
    parsed = {name: ipaddress.IPv4Network(text) for name, text in ranges.items().items()}
    for network in parsed.values():
        assert any(network.subnet_of(space) for space in PRIVATE_SPACE)
        assert not network.overlaps(DOCKER_BRIDGE)
    assert not any(one.overlaps(other) for one, other in combinations(parsed.values(), 2))
    assert parsed["nodes"].num_addresses - KEPT_BY_GOOGLE >= nodes
    assert parsed["pods"].num_addresses >= nodes * pod_block(64)


@given(nodes=st.integers(1, 2000), pods_per_node=st.sampled_from([16, 32, 64, 110]))
def test_the_prefix_that_a_problem_asks_for_is_the_smallest_range_that_is_enough(
    nodes: int, pods_per_node: int
) -> None:
    tiny = Ranges("10.0.0.0/30", "10.4.0.0/30", "10.1.0.0/24", "10.1.1.0/24")
    said = {line.split(":")[0]: line for line in address_problems(tiny, nodes, pods_per_node)}
    asked = {key: int(re.findall(r"at least /(\d+)", line)[0]) for key, line in said.items()}
    wanted = {"network.nodes": nodes + KEPT_BY_GOOGLE, "network.pods": nodes * pod_block(pods_per_node)}
    for key, count in wanted.items():
        if key in asked:
            assert 2 ** (32 - asked[key]) >= count
            assert 2 ** (32 - asked[key] - 1) < count
        else:
            assert count <= 4  # the /30 was enough


@given(
    order=st.permutations([0, 16, 32, 48]),
    base=st.sampled_from(["10.32.0.0", "172.24.0.0", "192.168.0.0", "100.64.0.0"]),
    nodes=st.integers(1, 60),
)
def test_ranges_side_by_side_in_private_space_are_taken_in_any_order(order: list[int], base: str, nodes: int) -> None:
    start = int(ipaddress.IPv4Address(base))
    parts = [str(ipaddress.IPv4Network((start + offset * 1024, 18))) for offset in order]
    assert address_problems(Ranges(*parts), nodes, 110) == []


def test_the_default_ranges_are_good_for_a_thousand_nodes() -> None:
    assert address_problems(GOOD, 1000, 110) == []


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (Ranges("10.0.0.1/20", GOOD.pods, GOOD.services, GOOD.managed), "network.nodes: 10.0.0.1/20 is no range"),
        (Ranges("10.0.0.0/33", GOOD.pods, GOOD.services, GOOD.managed), "network.nodes: 10.0.0.0/33 is no range"),
        (Ranges("8.8.0.0/20", GOOD.pods, GOOD.services, GOOD.managed), "network.nodes: 8.8.0.0/20 is not in private"),
        (Ranges("172.17.0.0/20", GOOD.pods, GOOD.services, GOOD.managed), "overlaps 172.17.0.0/16"),
        (
            Ranges("10.4.0.0/20", GOOD.pods, GOOD.services, GOOD.managed),
            "network.nodes: 10.4.0.0/20 overlaps network.pods",
        ),
        (Ranges("10.0.0.0/29", GOOD.pods, GOOD.services, GOOD.managed), "has room for 4 nodes"),
        (Ranges(GOOD.nodes, "10.4.0.0/22", GOOD.services, GOOD.managed), "has room for 8 nodes of 64 pods"),
        (Ranges(GOOD.nodes, GOOD.pods, "10.8.0.0/25", GOOD.managed), "network.services: 10.8.0.0/25 is too small"),
        (Ranges(GOOD.nodes, GOOD.pods, GOOD.services, "10.9.0.0/28"), "network.managed: 10.9.0.0/28 is too small"),
    ],
)
def test_a_range_that_can_not_work_is_named_with_the_mend(ranges: Ranges, expected: str) -> None:
    (problem,) = address_problems(ranges, 20, 64)
    assert expected in problem


def test_every_problem_of_the_ranges_is_named_at_once() -> None:
    assert len(address_problems(Ranges("8.8.0.0/20", "8.8.0.0/20", "10.8.0.0/30", "x"), 20, 64)) == 5


@pytest.mark.parametrize(("pods", "block"), [(8, 16), (16, 32), (32, 64), (64, 128), (110, 256)])
def test_a_node_takes_the_addresses_that_google_documents(pods: int, block: int) -> None:
    assert pod_block(pods) == block


def test_upgrades_need_a_node_more_or_twice_the_pool() -> None:
    assert most_nodes([4, 6], [20]) == 5 + 7 + 40


@given(most=st.integers(1, 5000), budgets=st.lists(st.integers(8, 400), min_size=1, max_size=60))
def test_budgets_of_connections_fit_or_the_settings_are_refused(most: int, budgets: list[int]) -> None:
    named = {f"team-{number}": budget for number, budget in enumerate(budgets)}
    problems = connection_problems(most, named, named)
    assert bool(problems) == (sum(budgets) + RESERVED_CONNECTIONS > most)
    if problems:
        least = int(re.findall(r"Allow at least (\d+)", problems[0])[0])
        assert connection_problems(least, named, named) == []
        assert connection_problems(least - 1, named, named)


def test_a_budget_that_no_airflow_of_its_size_can_live_on_is_named() -> None:
    (problem,) = connection_problems(500, {"small": 39, "right": 40}, {"small": 40, "right": 40})
    assert problem.startswith("airflows.small.databaseConnections: 39 are too few: at its size the Airflow needs 40")


@given(
    cpus=st.integers(1, 96), memory=st.integers(1, 700000), edition=st.sampled_from(["ENTERPRISE", "ENTERPRISE_PLUS"])
)
def test_a_tier_is_refused_or_has_memory_for_its_default_connections(cpus: int, memory: int, edition: str) -> None:
    tier = f"db-custom-{cpus}-{memory}"
    problems = tier_problems(tier, edition, default_connections(tier))
    if edition == "ENTERPRISE_PLUS" or memory % 256 or memory < 3840 or (cpus > 1 and cpus % 2):
        assert problems
    if not problems:
        assert default_connections(tier) * 8 <= tier_memory_mib(tier)


@pytest.mark.parametrize(
    ("tier", "edition", "good"),
    [
        ("db-custom-2-7680", "ENTERPRISE", True),
        ("db-custom-1-3840", "ENTERPRISE", True),
        ("db-g1-small", "ENTERPRISE", True),
        ("db-perf-optimized-N-2", "ENTERPRISE_PLUS", True),
        ("db-perf-optimized-N-2", "ENTERPRISE", False),
        ("db-custom-2-7680", "ENTERPRISE_PLUS", False),
        ("db-custom-3-7680", "ENTERPRISE", False),
        ("db-custom-2-7000", "ENTERPRISE", False),
        ("db-custom-2-30720", "ENTERPRISE", False),
    ],
)
def test_tiers_are_those_of_the_edition(tier: str, edition: str, good: bool) -> None:
    assert (tier_problems(tier, edition, default_connections(tier)) == []) == good


names = st.from_regex(r"[a-z]([a-z0-9-]{0,60}[a-z0-9])?", fullmatch=True)


@given(environment=names, airflow=names, part=st.sampled_from(["airflow", "tasks"]))
def test_account_ids_are_such_as_google_takes(environment: str, airflow: str, part: str) -> None:
    made = account_id(environment, airflow, part)
    assert re.fullmatch(r"[a-z]([a-z0-9-]{4,28}[a-z0-9])", made), made
    assert len(made) <= ACCOUNT_ID_LIMIT


@given(project=names, environment=names, airflow=names)
def test_bucket_names_are_such_as_google_takes(project: str, environment: str, airflow: str) -> None:
    made = bucket_name(project, environment, airflow)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", made), made
    assert len(made) <= BUCKET_LIMIT


@given(one=names, other=names, limit=st.integers(20, 60))
def test_names_that_differ_stay_different_when_they_are_cut(one: str, other: str, limit: int) -> None:
    assert (fitted(one, limit) == fitted(other, limit)) == (one == other)
