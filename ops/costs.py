"""What a stack costs a month by Google's list prices: its settings times docs/prices.yaml, resource by resource.

Counted is what a stack file decides: nodes, disks, database, addresses. What depends on use (traffic, logs, backups) is
listed with its price in docs/costs.md, and counted nowhere.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ValidationError

from infra.settings import CloudSqlDatabase, ExistingNetwork, GkeCluster, InClusterDatabase, NodePool, OwnNetwork
from infra.settings.cluster import ClusterSettings
from infra.settings.database import DatabaseSettings
from infra.settings.google import NetworkSettings
from ops.commands import command
from ops.prices import PRICES, PriceList, price_list, problems
from ops.stack_file import ROOT, StackFile, Tree, read
from testbed.progress import Failure

PAGE: Final = ROOT / "docs" / "costs.md"
ON_THE_PAGE: Final = ("dev", "staging", "prod")
MARK: Final = "¹"
"""On what is priced by another region's prices."""
NAT_NODES_AT_MOST: Final = 32
"""Cloud NAT charges no more for more (https://cloud.google.com/nat/pricing)."""
_GIB_PER_CPU: Final = {"standard": 4, "highmem": 8, "highcpu": 1}
"""Of the series e2 and n2 (https://cloud.google.com/compute/docs/general-purpose-machines)."""
_SHARED_CORE: Final = {"db-f1-micro": "sql-micro", "db-g1-small": "sql-small"}
_NOTES: Final = """\
Least: every pool at its minimum. Most: every pool at its maximum and the database's disk at its limit, all month.
Not counted: what depends on use, and discounts. docs/costs.md says which."""


@dataclass(frozen=True)
class Use:
    """What one resource is charged for: names of prices, with the least and the most that is used in a month."""

    resource: str
    detail: str
    amounts: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """What one resource costs a month in USD. ``elsewhere``: by a price that was read for another region."""

    resource: str
    detail: str
    least: float
    most: float
    elsewhere: bool = False


class _Paid(BaseModel):
    """The settings that decide what is paid."""

    cluster: ClusterSettings
    database: DatabaseSettings
    network: NetworkSettings | None = None


def uses(config: Tree, hours: int) -> list[Use]:
    """What the stack that ``config`` describes is charged for in a month of ``hours``.

    Only the parts that cost something are read, so placeholders may be in the others.
    """
    paid = _Paid.model_validate_json(json.dumps(config))
    cluster, database, network = paid.cluster, paid.database, paid.network or OwnNetwork(kind="vpc")
    found: list[Use] = []
    if isinstance(cluster, GkeCluster):
        found += _cluster_uses(cluster, hours)
    if isinstance(database, CloudSqlDatabase):
        found += _database_uses(database, hours)
    if isinstance(cluster, GkeCluster) and not isinstance(network, ExistingNetwork):
        found += _network_uses(network, cluster, hours)
    if config.get("ingress") and config.get("google"):
        if config["ingress"].get("tls"):
            found.append(Use("Load balancer", "for the ingress", {"load-balancer": (hours, hours)}))
        else:
            found.append(Use("Ingress address", "until something listens there", {"address-unused": (hours, hours)}))
    if config.get("google"):
        # One for each Airflow's Fernet keys, one for the administrator of a database that is Google's.
        secrets = len(config.get("airflows") or []) + (not isinstance(database, InClusterDatabase))
        found.append(Use("Escrowed secrets", f"{secrets}, of one version each", {"secret-version": (secrets, secrets)}))
    return found


def priced(found: Sequence[Use], prices: PriceList) -> list[Line]:
    """``found`` at ``prices``. Raises Failure naming every price that is missing, and for what."""
    missing = [
        f"{name}: for {use.resource} ({use.detail})"
        for use in found
        for name in use.amounts
        if name not in prices.prices
    ]
    if missing:
        listed = "\n".join(f"  - {line}" for line in missing)
        raise Failure(
            f"docs/{PRICES.name} lacks prices:\n{listed}\n"
            "Mend: add each with its unit to a group that says source, date and region."
        )
    return [_line(use, prices) for use in found]


def stack_lines(stack: StackFile, prices: PriceList) -> list[Line]:
    """What each resource of ``stack`` costs a month. Refuses a stack in another region than the prices are of."""
    region = (stack.config.get("google") or {}).get("region", prices.region)
    if region != prices.region:
        raise Failure(
            f"stack {stack.name} is in {region}, and docs/{PRICES.name} has the prices of {prices.region}.\n"
            f"Mend: put those of {region} there, and its name into 'region'."
        )
    if "organisation" in stack.config:
        raise Failure(f"stack {stack.name} is the bootstrap of an organisation.\nMend: STACK= an environment's.")
    try:
        return priced(uses(stack.config, prices.hours), prices)
    except ValidationError as error:
        raise Failure(
            f"stack {stack.name}: its settings are wrong:\n{problems(error)}\nMend: correct them (docs/settings.md)."
        ) from None


def table(lines: Sequence[Line]) -> str:
    """``lines`` as a table, with the sum below."""
    least, most = sum(line.least for line in lines), sum(line.most for line in lines)
    rows = [
        "| resource | | USD a month, least | most |",
        "| --- | --- | ---: | ---: |",
        *(
            f"| {line.resource}{MARK * line.elsewhere} | {line.detail} | {line.least:,.2f} | {line.most:,.2f} |"
            for line in lines
        ),
        f"| **sum** | | **{least:,.2f}** | **{most:,.2f}** |",
    ]
    return "\n".join(rows)


def usage_table(prices: PriceList) -> str:
    """The prices of what no stack file decides."""
    rows = [
        f"| {price.usage} | {price.amount:.3f} a {price.unit}{MARK * prices.is_elsewhere(name)} | {price.date} |"
        for name, price in prices.prices.items()
        if price.usage
    ]
    return "\n".join(["| for | USD | price of |", "| --- | --- | --- |", *rows])


def costs(stack: StackFile, prices: PriceList) -> str:
    """What `make costs` prints."""
    lines = stack_lines(stack, prices)
    if not lines:
        return f"Stack {stack.name} has nothing on Google Cloud."
    parts = [f"Stack {stack.name}, by the list prices of {prices.region}:", table(lines), _NOTES]
    if any(line.elsewhere for line in lines):
        parts.append(f"{MARK} by prices of {', '.join(prices.other_regions)}")
    return "\n\n".join(parts)


def page(text: str, stacks: Mapping[str, StackFile], prices: PriceList) -> str:
    """``text`` with its tables made anew, each between the comments ``costs <stack>`` (or ``costs usage``) and ``end``.

    Raises Failure where there is no place for one.
    """
    made = {**{name: table(stack_lines(stack, prices)) for name, stack in stacks.items()}, "usage": usage_table(prices)}
    for name, block in made.items():
        begin, end = f"<!-- costs {name} -->", "<!-- end -->"
        before, found, rest = text.partition(begin)
        old, closed, after = rest.partition(end)
        if not found or not closed or "<!--" in old:
            raise Failure(f"{PAGE.name} has no place for {name}.\nMend: add '{begin}' and below it '{end}'.")
        text = f"{before}{begin}\n\n{block}\n\n{end}{after}"
    return text


def _cluster_uses(cluster: GkeCluster, hours: int) -> Iterator[Use]:
    where = f"zone {cluster.zone}" if cluster.zone else "in every zone of the region"
    yield Use("GKE control plane", where, {"gke-cluster": (hours, hours)})
    for name, pool in _pools(cluster).items():
        yield _pool_use(name, pool, hours)


def _pools(cluster: GkeCluster) -> dict[str, NodePool]:
    fixed = {f"Nodes `{name}`": pool for name, pool in cluster.node_pools if isinstance(pool, NodePool)}
    return {**fixed, **{f"Task nodes `{name}`": pool for name, pool in cluster.task_pools.items()}}


def _pool_use(name: str, pool: NodePool, hours: int) -> Use:
    counts = (pool.min_nodes, pool.max_nodes)
    spot = "-spot" if pool.spot else ""
    if known := re.fullmatch(r"(e2|n2)-(standard|highmem|highcpu)-(\d+)", pool.machine_type):
        series, cpus = known[1], int(known[3])
        machine = {
            f"{series}-vcpu{spot}": _times(counts, cpus * hours),
            f"{series}-memory{spot}": _times(counts, cpus * _GIB_PER_CPU[known[2]] * hours),
        }
    else:
        machine = {f"{pool.machine_type}{spot}": _times(counts, hours)}
    how_many = " to ".join(map(str, dict.fromkeys(counts)))
    detail = f"{how_many} {pool.machine_type}{' spot' if pool.spot else ''}, {pool.disk_gib} GiB each"
    return Use(name, detail, {**machine, "disk-balanced": _times(counts, pool.disk_gib)})


def _database_uses(database: CloudSqlDatabase, hours: int) -> Iterator[Use]:
    ha = "-ha" if database.high_availability else ""
    standby = ", with a standby" if ha else ""
    if custom := re.fullmatch(r"db-custom-(\d+)-(\d+)", database.tier):
        cpu_hours, gib_hours = int(custom[1]) * hours, int(custom[2]) / 1024 * hours
        instance = {f"sql-vcpu{ha}": (cpu_hours, cpu_hours), f"sql-memory{ha}": (gib_hours, gib_hours)}
    else:
        instance = {f"{_SHARED_CORE.get(database.tier, database.tier)}{ha}": (hours, hours)}
    yield Use("Cloud SQL", f"{database.tier}{standby}", instance)
    sizes = (database.disk_gib, database.disk_limit_gib)
    yield Use("Cloud SQL disk", f"{sizes[0]} to {sizes[1]} GiB{standby}", {f"sql-disk{ha}": sizes})


def _network_uses(network: OwnNetwork, cluster: GkeCluster, hours: int) -> Iterator[Use]:
    pools = _pools(cluster).values()
    least, most = sum(pool.min_nodes for pool in pools), sum(pool.max_nodes for pool in pools)
    charged = (min(least, NAT_NODES_AT_MOST), min(most, NAT_NODES_AT_MOST))
    yield Use("Cloud NAT", f"for {least} to {most} nodes", {"nat-node": _times(charged, hours)})
    addresses = network.nat_addresses * hours
    yield Use("Addresses of Cloud NAT", str(network.nat_addresses), {"address-nat": (addresses, addresses)})


def _times(counts: tuple[int, int], amount: float) -> tuple[float, float]:
    return counts[0] * amount, counts[1] * amount


def _line(use: Use, prices: PriceList) -> Line:
    least, most = (
        sum(prices.prices[name].amount * amounts[column] for name, amounts in use.amounts.items()) for column in (0, 1)
    )
    return Line(use.resource, use.detail, least, most, any(map(prices.is_elsewhere, use.amounts)))


@command
def main() -> int:
    """Makes the tables in docs/costs.md anew."""
    made = page(PAGE.read_text(encoding="utf-8"), {name: read(name) for name in ON_THE_PAGE}, price_list())
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
